"""
Define the errors that end a run, as one tree. Bad data becomes a row in `rejects` instead.

    JobError                    code 1: the run failed
    ├── SetupError              code 2: usage or configuration
    │   ├── InputError          INPUT is missing, unreadable, or holds OUTPUT
    │   │   └── NoPhotosError   INPUT has no photos
    │   ├── OutputError         OUTPUT cannot be written
    │   ├── ModelError          weights are missing or do not compute what they should
    │   └── CredentialsError    S3 refuses the credentials, or has none
    ├── LeaseError              code 3: another run holds OUTPUT, or took it over
    ├── RegionError             code 3: a bucket or an endpoint is outside the European Union, or its Region is unknown
    ├── NotebookError           a cell of the run's notebook raised, or its kernel died
    ├── RejectsError            more images were rejected than `--max-reject-ratio` allows
    └── VarianceError           there is nothing to decompose: one image, or all alike

`DecodeError` and `FetchError` are about one image: they become rows of `rejects`.
"""

from __future__ import annotations


class JobError(Exception):
    """An error that ends the run. The message says what happened with the value; `hint` is the one thing to do."""

    code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SetupError(JobError):
    code = 2


class InputError(SetupError):
    pass


class NoPhotosError(InputError):
    pass


class OutputError(SetupError):
    pass


class ModelError(SetupError):
    pass


class CredentialsError(SetupError):
    pass


class LeaseError(JobError):
    code = 3


class RegionError(JobError):
    code = 3


class RejectsError(JobError):
    pass


class VarianceError(JobError):
    pass


class ImageError(Exception):
    """One image that cannot be used. `stage` is where it failed, `str(error)` why."""

    stage = "image"


class FetchError(ImageError):
    """The bytes could not be read. The next run tries again."""

    stage = "fetch"


class DecodeError(ImageError):
    """The bytes are not a supported picture. The same bytes are not tried again."""

    stage = "decode"
