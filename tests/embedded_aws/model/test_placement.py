import pytest

from embedded_aws.model import Refused
from embedded_aws.model.placement import parse
from embedded_aws.model.things import ContainerInstance

INSTANCE = ContainerInstance(
    "arn", "c", "i-1", 0.0, 2048, 7985, 0, {"app": "My-App_1", "ecs.instance-type": "m5.large"}
)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("attribute:app == My-App_1", True),
        ("attribute:app==My-App_1", True),
        ("attribute:app equals My-App_1", True),
        ("attribute:app == other", False),
        ("attribute:absent == other", False),
        ("attribute:app != other", True),
        ("attribute:app exists", True),
        ("attribute:absent exists", False),
        ("attribute:absent !exists", True),
        ("attribute:app == My-App_1 and attribute:ecs.instance-type == m5.large", True),
        ("attribute:app == My-App_1 and attribute:ecs.instance-type == c5.large", False),
    ],
)
def test_expression_is_understood(expression, holds):
    assert parse(expression)(INSTANCE) is holds


@pytest.mark.parametrize(
    "expression", ["", "app == x", "attribute:app = x", "attribute:app == [x]"]
)
def test_other_expressions_are_refused(expression):
    with pytest.raises(Refused, match="InvalidParameterException"):
        parse(expression)
