"""What `image push` decides before it asks Docker for the image."""

import pytest

from cli.commands.aws import image_push
from cli.errors import UsageError


@pytest.mark.parametrize("registry", [None, "ghcr.io"])
def test_the_repository_bears_the_projects_name_unless_another_is_given(monkeypatch, registry):
    """A project whose name no registry takes, so that the error tells which name was used."""
    monkeypatch.setenv("FRUITS_PROJECT", "No_Name_")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")

    with pytest.raises(UsageError, match="`No_Name_` is not a valid repository name"):
        image_push.push(registry)
    with pytest.raises(UsageError, match="`Mine` is not a valid repository name"):
        image_push.push(registry, repository="Mine")


def test_the_repository_in_the_registrys_address_beats_the_projects_name(monkeypatch):
    monkeypatch.setenv("FRUITS_PROJECT", "No_Name_")

    with pytest.raises(UsageError, match="`alice/Fruits` is not a valid repository name"):
        image_push.push("ghcr.io/alice/Fruits")
