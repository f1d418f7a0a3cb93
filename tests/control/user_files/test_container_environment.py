from control.user_files import container_environment


def test_values_become_text_and_their_types_are_told():
    told = container_environment.of_container(
        {"A": "x", "B": True, "C": 7, "D": 0.5, "E": None, "F": [1, "é"], "G": {"a": 1}, "H": "7"},
        "https://queue",
        "20260101T000000Z",
    )
    assert told == {
        "A": "x",
        "B": "True",
        "C": "7",
        "D": "0.5",
        "E": "",
        "F": '[1, "é"]',
        "G": '{"a": 1}',
        "H": "7",
        "SQS_QUEUE_URL": "https://queue",
        "RUN_ID": "20260101T000000Z",
        "CONFIG_TYPES": '{"B":"bool","C":"int","D":"float","E":"none","F":"json","G":"json"}',
    }
