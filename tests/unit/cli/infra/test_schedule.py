"""The request of a schedule in the parameters of a template."""

import json

import pytest

from cli.errors import UsageError
from cli.infra.schedule import PART_CHARACTERS, PARTS, parts


def joined(request):
    return json.loads('{"ApplicationId":"a",' + "".join(parts(request)))


@pytest.mark.parametrize("words", [0, 1, 400, 1500])
def test_the_parts_together_are_the_request(words):
    request = {"ApplicationId": "a", "ClientToken": "<aws.scheduler.execution-id>", "Text": '--conf é=\\ "b" ' * words}

    assert joined(request | {"Text": request["Text"][:6000]}) == request | {"Text": request["Text"][:6000]}


def test_each_part_fits_a_parameter_and_has_no_white_space_at_its_ends():
    found = parts({"Text": ("x" * (PART_CHARACTERS - 10)) + " " * 20 + "y" * 100})

    assert len(found) == PARTS
    assert all(len(part) <= PART_CHARACTERS and part == part.strip() for part in found)
    assert "<" in parts({"Text": "<aws.scheduler.scheduled-time>"})[0]  # not escaped: the service replaces the text itself


def test_a_request_that_is_too_long_is_refused():
    with pytest.raises(UsageError, match="the limit is 12,000") as refused:
        parts({"Text": "x" * 12_000})

    assert refused.value.hint == "choose shorter prefixes for INPUT and OUTPUT"
