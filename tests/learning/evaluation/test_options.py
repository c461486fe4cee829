"""Options say what is wrong with them."""

import pytest

from wsisam_server.learning.evaluation import EvaluationOptions


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"prompts": ()}, "at least one"),
        ({"prompts": ("1", "1")}, "different"),
        ({"prompts": ("circle",)}, "'circle'"),
        ({"prompts": ("shape+2",)}, "'shape\\+2'"),
        ({"prompts": ("0",)}, "from 1 to 64"),
        ({"prompts": ("65",)}, "from 1 to 64"),
        ({"prompts": ("01",)}, "'01'"),
        ({"prompts": ("-1",)}, "'-1'"),
        ({"max_objects": 0}, "max_objects"),
        ({"seed": -1}, "seed"),
        ({"context": 0.5}, "context"),
        ({"context": float("nan")}, "context"),
    ],
)
def test_out_of_range(values, says):
    with pytest.raises(ValueError, match=says):
        EvaluationOptions(**values)


def test_clicks():
    assert EvaluationOptions(prompts=("box", "3", "1")).clicks == {1, 3}
    assert EvaluationOptions(prompts=("box", "shape", "shape+1")).clicks == set()
