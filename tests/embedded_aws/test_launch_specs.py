import pytest

from embedded_aws.launch_specs import agent_config
from embedded_aws.model.things import AgentConfig

HERE_DOCUMENT = """#!/bin/bash
cat <<'EOF' >> /etc/ecs/ecs.config
ECS_CLUSTER=my-cluster
ECS_ENABLE_SPOT_INSTANCE_DRAINING=true
ECS_RESERVED_MEMORY=256
ECS_INSTANCE_ATTRIBUTES={"app": "My App", "n": 1}
EOF
"""
ECHOES = """#!/bin/bash
echo ECS_CLUSTER=my-cluster >> /etc/ecs/ecs.config
echo 'ECS_INSTANCE_ATTRIBUTES={"app": "x"}' >> /etc/ecs/ecs.config
"""


@pytest.mark.parametrize(
    ("text", "config"),
    [
        (HERE_DOCUMENT, AgentConfig("my-cluster", {"app": "My App", "n": "1"}, 256, True)),
        (ECHOES, AgentConfig("my-cluster", {"app": "x"})),
        ("ECS_CLUSTER='quoted'", AgentConfig("quoted")),
        ("ECS_RESERVED_MEMORY=1", AgentConfig("default", reserved_memory=1)),
        ("#!/bin/bash\necho hello\n", None),
        ("", None),
    ],
    ids=["here-document", "echo", "quoted", "no cluster", "nothing of ECS", "empty"],
)
def test_agent_is_configured_by_user_data(text, config):
    assert agent_config(text) == config


@pytest.mark.parametrize("value", ["{app: x}", "[1]", ""])
def test_attributes_that_are_no_json_object_are_refused(value):
    with pytest.raises(ValueError, match="."):
        agent_config(f"ECS_INSTANCE_ATTRIBUTES={value}")
