"""
The values of options that are choices, as types for typer. The values themselves are in `job.contract.params` and `cli.settings.release`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from cli.settings.release import BASES
from job.contract.params import ENGINES, MODELS

if TYPE_CHECKING:  # a type checker takes no values that are computed
    Model: TypeAlias = str
    Engine: TypeAlias = str
    ImageTarget: TypeAlias = str
    Architecture: TypeAlias = str
else:
    Model = Literal[MODELS]
    Engine = Literal[ENGINES]
    ImageTarget = Literal[tuple(BASES)]
    Architecture = Literal["amd64", "arm64"]  # Docker's words, for the image and the application alike
