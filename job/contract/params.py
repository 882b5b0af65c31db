"""Define the arguments of the job, for the job and the CLI. Standard library only."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from datetime import UTC, datetime
from typing import Any, NoReturn, Self, get_type_hints

from job.contract.uris import AddressError, from_text, is_foreign, is_s3

UNTRAINED = "mobilenet_v2_untrained"


@dataclass(frozen=True)
class Application:
    """
    A network of Keras Applications without its top.

    https://keras.io/api/applications/ describes them. `path` and `md5` are what Keras 3.15.1 downloads and checks:
    keras/src/applications/<module>.py.
    """

    module: str  # of keras.applications, with its preprocess_input
    size_px: int
    dim: int  # of its features, after average pooling
    path: str
    md5: str

    @property
    def url(self) -> str:
        return f"https://storage.googleapis.com/{self.path}"


_TF, _KERNELS = "tensorflow/keras-applications", "weights_tf_dim_ordering_tf_kernels_notop.h5"
APPLICATIONS = {
    "DenseNet121": Application("densenet", 224, 1024, f"{_TF}/densenet/densenet121_{_KERNELS}", "30ee3e1110167f948a6b9946edeeb738"),
    "EfficientNetB0": Application(
        "efficientnet", 224, 1280, "keras-applications/efficientnetb0_notop.h5", "50bc09e76180e00e4465e1a485ddc09d"
    ),
    "EfficientNetV2B0": Application(
        "efficientnet_v2", 224, 1280, f"{_TF}/efficientnet_v2/efficientnetv2-b0_notop.h5", "893217f2bb855e2983157299931e43ff"
    ),
    "InceptionV3": Application(
        "inception_v3", 299, 2048, f"{_TF}/inception_v3/inception_v3_{_KERNELS}", "bcbd6486424b2319ff4ef7d526e38f63"
    ),
    "MobileNetV3Large": Application(
        "mobilenet_v3",
        224,
        960,
        f"{_TF}/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        "07fb09a5933dd0c8eaafa16978110389",
    ),
    "MobileNetV3Small": Application(
        "mobilenet_v3",
        224,
        576,
        f"{_TF}/mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        "d3e8ec802a04aa4fc771ee12a9a9b836",
    ),
    "NASNetMobile": Application("nasnet", 224, 1056, f"{_TF}/nasnet/NASNet-mobile-no-top.h5", "1ed92395b5b598bdda52abe5c0dbfd63"),
    "ResNet50": Application("resnet", 224, 2048, f"{_TF}/resnet/resnet50_{_KERNELS}", "4d473c1dd8becc155b73f8504c6f6626"),
    "ResNet50V2": Application("resnet_v2", 224, 2048, f"{_TF}/resnet/resnet50v2_{_KERNELS}", "fac2f116257151a9d068a22e544a4917"),
    "Xception": Application("xception", 299, 2048, f"{_TF}/xception/xception_{_KERNELS}", "b0042744bf5b25fce3cb969f33bebb97"),
}
KERAS_PREFIX = "keras:"
WITHOUT_WEIGHTS = (UNTRAINED, "mean_colour")
MODELS = ("mobilenet_v2", *WITHOUT_WEIGHTS, *(KERAS_PREFIX + name for name in APPLICATIONS))
ENGINES = ("litert", "tensorflow")
ADDRESSES = ("input", "output", "logs")  # which Spark would take for paths in its own default file system
RUN_SPECIFIC = ("input", "output", "run_id", "weights", "cache", "lease_seconds", "target")  # may differ when a run is repeated
DEFAULT_COMPONENTS = 50  # if neither components nor variance is given
RUN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")  # names a folder, and is a client token of EMR
# https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
SCHEDULED_TIME = "%Y-%m-%dT%H:%M:%SZ"


class ArgumentsError(ValueError):
    """Arguments that this version of the job does not accept."""


class RunIdError(argparse.ArgumentTypeError):
    """A text that cannot name a run. argparse prints its message as it is."""


class RangeError(ValueError):
    """A value outside its range. `hint` gives a valid one."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ArgumentsError(message)


class Arguments:
    """A dataclass that travels as a command line: `X.from_argv(x.to_argv()) == x`."""

    def to_argv(self) -> list[str]:
        """Return one `--name=value` per field that is not None, ready for spark-submit."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type] # all of us are dataclasses
        return [f"{_flag(name)}={value}" for name, value in values.items() if value is not None]

    @classmethod
    def from_argv(cls, argv: Sequence[str]) -> Self:
        """
        Parse a command line.

        Raises:
            ArgumentsError: unknown or missing arguments.
            ValueError: a value is out of range.
        """
        parser = _Parser("job", allow_abbrev=False)
        types = get_type_hints(cls)
        for field in fields(cls):  # type: ignore[arg-type]
            required = field.default is MISSING
            kind = PARSERS.get(field.name) or _parser(types[field.name])
            parser.add_argument(_flag(field.name), required=required, default=_default(field), type=kind)
        return cls(**vars(parser.parse_args(argv)))


@dataclass(frozen=True)
class ForgetParams(Arguments):
    """One erasure."""

    output: str  # URI of the features and runs that it cleans
    run_id: str
    targets: str  # local path of JSON: {"uris": [...], "prefixes": [...]}
    answer: str  # local path that receives the result as JSON: only the caller sees addresses
    by: str  # who asked for the erasure, for the receipt
    older_than: float | None = None  # seconds: also erase photos that were added before that
    tombstone: bool = False  # refuse the same bytes if they come back
    copies: bool = False  # also the same picture under other addresses
    refit: bool = False  # refit the PCA of published runs without the erased rows; otherwise their manifests get a note
    dry_run: bool = False
    cache: str | None = None  # local folder with what the report needs
    logs: str | None = None  # URI of a folder with logs, to be searched too
    log_group: str | None = None  # of CloudWatch, to be searched too
    lease_seconds: float = 60.0


@dataclass(frozen=True)
class Params(Arguments):
    """One run of the job. Raises RangeError, naming the value, if it is out of range."""

    input: str  # URI with one sub-folder per label
    output: str  # URI that receives features/, rejects/, runs/<run_id>/
    run_id: str  # a new attempt of the same run replaces its own output, never appends
    model: str = "mobilenet_v2"
    engine: str = "litert"
    weights: str | None = None  # local path of Keras's HDF5 weights; models without weights need none
    cache: str | None = None  # local folder that keeps the converted model between runs
    full_decode: bool = False  # decode large JPEGs in full instead of at a fraction of their size: slower, other features
    components: int | None = None  # DEFAULT_COMPONENTS if neither this nor `variance` is given
    variance: float | None = None  # instead of components: the share of variance to keep, 0..1
    standardize: bool = False  # unit variance for every feature before the PCA
    fit_on: str | None = None  # glob on label or on the path below INPUT; None fits on all
    pca: str | None = None  # run_id whose fitted PCA is used instead of fitting one
    limit: int | None = None  # take only that many photos of INPUT: the first of each label, then the second of each, and so on
    chunk_images: int | None = None  # images per commit; None: sized to take a minute or two
    max_reject_ratio: float = 0.05
    retry_rejects: bool = False  # try again what an earlier run could not decode
    content_hash: bool = False  # local files: etag from content instead of size and mtime
    keep_runs: int = 5
    notebook: str | None = None  # local path of a notebook whose cells take the pipeline's place
    lease_seconds: float = 60.0  # without a renewal for so long, a run may be taken over
    target: str | None = None  # where the run happens, for a reader of its manifest

    @classmethod
    def from_manifest(cls, values: Mapping[str, Any]) -> Self:
        """Make Params from `Manifest.params`, also of a version with other fields."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})

    def options(self) -> list[str]:
        """Return the options of `fruitsctl run`, besides INPUT, OUTPUT and the target, that repeat this run."""
        words = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in RUN_SPECIFIC and value not in (None, False, field.default):
                words += [_flag(field.name)] if value is True else [_flag(field.name), str(value)]
        return words

    def __post_init__(self) -> None:
        self._check_network()
        if self.components is not None and self.variance is not None:
            raise RangeError("give components or variance, not both", "remove --components or --variance")
        if self.components is not None and self.components < 1:
            raise RangeError(f"components is at least 1, not `{self.components}`", f"for example --components {DEFAULT_COMPONENTS}")
        if self.variance is not None and not 0 < self.variance <= 1:
            raise RangeError(f"variance is a share above 0 and up to 1, not `{self.variance}`", "for example --variance 0.9")
        if self.limit is not None and self.limit < 1:
            raise RangeError(f"limit is at least 1, not `{self.limit}`", "for example --limit 100")
        if self.chunk_images is not None and self.chunk_images < 1:
            raise RangeError(f"chunk-images is at least 1, not `{self.chunk_images}`", "for example --chunk-images 1000")
        if not 0 <= self.max_reject_ratio <= 1:
            raise RangeError(f"max-reject-ratio is between 0 and 1, not `{self.max_reject_ratio}`", "for example --max-reject-ratio 0.05")
        if self.keep_runs < 1:
            raise RangeError(f"keep-runs is at least 1, not `{self.keep_runs}`", "for example --keep-runs 5")
        if self.pca and (self.components or self.variance or self.standardize or self.fit_on):
            raise RangeError(
                "pca takes a fitted model as it is: leave out components, variance, standardize and fit-on",
                "remove --components, --variance, --standardize and --fit-on",
            )

    def _check_network(self) -> None:
        if self.model not in MODELS:
            raise RangeError(f"model is one of {', '.join(MODELS)}, not `{self.model}`", f"for example --model {MODELS[0]}")
        if self.engine not in ENGINES:
            raise RangeError(f"engine is one of {', '.join(ENGINES)}, not `{self.engine}`", f"for example --engine {ENGINES[0]}")
        if self.model == UNTRAINED and self.weights is not None:
            raise RangeError(f"model `{UNTRAINED}` takes no weights, not `{self.weights}`", "remove --weights")


def application(model: str) -> Application | None:
    """Return the network of Keras Applications that `model` names, such as `keras:EfficientNetB0`; None for other models."""
    return APPLICATIONS.get(model.removeprefix(KERAS_PREFIX)) if model.startswith(KERAS_PREFIX) else None


def address(text: str) -> str:
    """
    Return `text` as a URI that Python and Spark read alike.

    `/out` becomes `file:///out`, since Spark's default file system may be another one. Addresses of other kinds stay as they are, and are
    refused where they are opened.

    Raises:
        AddressError: it is empty.
    """
    if not text:
        raise AddressError(text, "give a folder, or s3://bucket/prefix")
    return text if is_s3(text) or is_foreign(text) else from_text(text)


def run_id(text: str) -> str:
    """
    Return the run id that `text` means: itself, or that of the time of a schedule.

    Raises:
        RunIdError: it cannot name a run.
    """
    known = of_schedule(text)
    if not RUN_ID.fullmatch(known):
        raise RunIdError(f"`{text}` is not a valid run id: use up to 64 letters, digits, `.`, `_` and `-`, no `.` first")
    return known


def of_schedule(name: str) -> str:
    """
    Return the run id of a run that a schedule sent, from its time; other names as they are.

    `2026-12-01T03:00:00Z`, the only form that EventBridge Scheduler can write, becomes `20261201T030000Z-scheduled`: without colons, and in
    the order of time like every run id.
    """
    try:
        return f"{datetime.strptime(name, SCHEDULED_TIME).replace(tzinfo=UTC):%Y%m%dT%H%M%SZ}-scheduled"
    except ValueError:
        return name


PARSERS = {**dict.fromkeys(ADDRESSES, address), "run_id": run_id}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _default(field: Field[Any]) -> Any:
    return None if field.default is MISSING else field.default


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"true or false, not `{text}`")
    return text.lower() == "true"


def _parser(kind: Any) -> Any:
    if kind is bool:
        return _boolean
    for plain in (int, float):
        if kind in (plain, plain | None):
            return plain
    return str
