"""A CloudFormation template and its parameters in; what its resources are to be, out. Only the functions of a small stack. Pure."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.aws.standin.wire import ServiceError

NO_VALUE = object()


class Loader(yaml.SafeLoader):
    """Reads `!Ref X` as `{"Ref": X}`."""


def _short(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _short)


class Template:
    """
    Raises:
        ServiceError: a parameter is missing, unknown or not allowed.
    """

    def __init__(self, body: str, given: dict[str, str], pseudo: dict[str, str]) -> None:
        """`pseudo` are AWS::Region and its like."""
        self._parsed = yaml.load(body, Loader)
        known = self._parsed.get("Parameters", {})
        if unknown := given.keys() - known.keys():
            raise ServiceError("ValidationError", f"Parameters: [{', '.join(sorted(unknown))}] do not exist in the template")
        values = {name: given.get(name, parameter.get("Default")) for name, parameter in known.items()}
        if missing := [name for name, value in values.items() if value is None]:
            raise ServiceError("ValidationError", f"Parameters: [{', '.join(missing)}] must have values")
        for name, value in values.items():
            allowed = known[name].get("AllowedValues")
            if allowed and str(value) not in map(str, allowed):
                raise ServiceError("ValidationError", f"Parameter '{name}' must be one of AllowedValues")
            if not re.fullmatch(known[name].get("AllowedPattern", ".*"), str(value), re.S):
                raise ServiceError("ValidationError", f"Parameter '{name}' must match pattern {known[name]['AllowedPattern']}")
        self.parameters = {name: str(value) for name, value in values.items()}
        lists = {name: value.split(",") for name, value in self.parameters.items() if known[name]["Type"] == "CommaDelimitedList"}
        self._names: dict[str, Any] = {**pseudo, **self.parameters, **lists, "AWS::NoValue": NO_VALUE}

    def resources(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Logical id to type and properties."""
        found = self._parsed["Resources"]
        return {
            name: (resource["Type"], self._value(resource.get("Properties", {}), {}))
            for name, resource in found.items()
            if self._holds(resource.get("Condition"))
        }

    def wanted(self) -> list[str]:
        """Logical ids of the resources whose condition holds."""
        return [name for name, resource in self._parsed["Resources"].items() if self._holds(resource.get("Condition"))]

    def outputs(self, made: dict[str, dict[str, str]]) -> dict[str, str]:
        """`made`: logical id to attributes, with "Ref" among them."""
        return {
            name: str(self._value(output["Value"], made))
            for name, output in self._parsed.get("Outputs", {}).items()
            if self._holds(output.get("Condition"))
        }

    def _holds(self, condition: str | None) -> bool:
        return condition is None or bool(self._value(self._parsed["Conditions"][condition], {}))

    def _value(self, node: Any, made: dict[str, dict[str, str]]) -> Any:
        if isinstance(node, list):
            return [value for item in node if (value := self._value(item, made)) is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            name, argument = next(iter(node.items()))
            if name in FUNCTIONS:
                return FUNCTIONS[name](self, argument, made)
            if name.startswith("Fn::"):
                raise ServiceError("ValidationError", f"the stand-in knows no {name}")
        return {name: value for name, item in node.items() if (value := self._value(item, made)) is not NO_VALUE}

    def _ref(self, name: str, made: dict[str, dict[str, str]]) -> Any:
        return made[name]["Ref"] if name in made else self._names[name]

    def _sub(self, argument: Any, made: dict[str, dict[str, str]]) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else (argument[0], self._value(argument[1], made))

        def replace(found: re.Match[str]) -> str:
            name, _, attribute = found[1].partition(".")
            return str(own[found[1]] if found[1] in own else made[name][attribute] if attribute else self._ref(name, made))

        return re.sub(r"\$\{([^}!]+)\}", replace, text)

    def _if(self, argument: list[Any], made: dict[str, dict[str, str]]) -> Any:
        return self._value(argument[1 if self._holds(argument[0]) else 2], made)


FUNCTIONS: dict[str, Any] = {
    "Ref": Template._ref,
    "Condition": lambda template, name, made: template._holds(name),
    "Fn::GetAtt": lambda template, argument, made: made[argument[0]][argument[1]],
    "Fn::Sub": Template._sub,
    "Fn::If": Template._if,
    "Fn::Equals": lambda template, pair, made: str(template._value(pair[0], made)) == str(template._value(pair[1], made)),
    "Fn::Not": lambda template, one, made: not template._value(one[0], made),
    "Fn::And": lambda template, several, made: all(template._value(one, made) for one in several),
    "Fn::Or": lambda template, several, made: any(template._value(one, made) for one in several),
    "Fn::Join": lambda template, argument, made: argument[0].join(map(str, template._value(argument[1], made))),
}
