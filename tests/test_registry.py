"""Names to code."""

from typing import Annotated, Any

import pytest
from pydantic import Field

from gancli import registry
from gancli.errors import GancliError, UsageError


@pytest.mark.parametrize("kind", ["architecture", "objective", "loss", "regularizer", "augmentation", "optimizer"])
def test_every_name_leads_to_documented_code(kind: str) -> None:
    assert registry.names(kind)
    for name in registry.names(kind):
        code = registry.get(kind, name)
        for part in code.values() if isinstance(code, dict) else [code]:
            assert part.__doc__


def test_an_unknown_name_has_a_nearest_one() -> None:
    with pytest.raises(UsageError) as refused:
        registry.get("loss", "non-saturatin")
    assert refused.value.message == "no loss is called 'non-saturatin'"
    assert refused.value.hint == "did you mean 'non-saturating'?"


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(GancliError, match="the architecture 'dcgan' exists already"):
        registry.add("architecture", "dcgan", {})


@pytest.mark.parametrize("name", ["base", "__init__", "os", "../recipe", "dcgan.Generator", ""])
def test_a_name_from_a_file_imports_nothing(name: str) -> None:
    with pytest.raises(UsageError, match="no architecture is called"):
        registry.get("architecture", name)


def test_options_are_the_keyword_only_parameters() -> None:
    def make(first: int, *, width: int, name: str = "x") -> None: ...

    schema = registry.options(make)
    assert schema.model_validate({"width": 3}).model_dump() == {"width": 3, "name": "x"}


def test_a_class_that_hands_options_on_takes_those_of_its_base() -> None:
    class Base:
        def __init__(self, *, width: Annotated[int, Field(ge=2)], name: str = "x") -> None: ...

    class Further(Base):
        def __init__(self, first: int, *, weight: float = 1.0, **options: Any) -> None: ...

    schema = registry.options(Further)
    assert schema.model_validate({"width": 3}).model_dump() == {"weight": 1.0, "width": 3, "name": "x"}
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        schema.model_validate({"width": 1})


@pytest.mark.parametrize(
    "wrong", [{"width": "5"}, {"width": True}, {"width": 5.0}, {"width": 5, "rate": "1"}, {"width": 5, "rate": True}]
)
def test_values_are_held_against_options_strictly(wrong: dict) -> None:
    def make(*, width: int, rate: float = 1, pair: tuple[float, float] = (0, 1)) -> None: ...

    schema = registry.options(make)
    right = registry.validate(schema, {"width": 5, "rate": 1, "pair": [1, 2]}).model_dump()
    assert right == {"width": 5, "rate": 1.0, "pair": (1.0, 2.0)}
    with pytest.raises(ValueError, match=r"valid (integer|number)"):
        registry.validate(schema, wrong)
