import pytest

from control.prices import Estimate, Prices, estimate, in_words


@pytest.mark.parametrize(
    ("machines", "hours", "price_limit", "hourly_limit", "expected"),
    [
        (10, 72, None, None, Estimate(0.5, 1.0, 72.0)),
        (10, 72, 0.2, None, Estimate(0.5, 1.0, 144.0)),
        (10, 72, 0.08, None, Estimate(0.5, 0.8, 57.6)),
        (10, 72, None, 0.6, Estimate(0.5, 0.6, 43.2)),
        (1, 1, 0.2, 0.1, Estimate(0.05, 0.1, 0.1)),
    ],
)
def test_what_machines_cost(machines, hours, price_limit, hourly_limit, expected):
    found = estimate(Prices(0.05, 0.10), machines, hours, price_limit, hourly_limit)
    assert found.hourly_low == pytest.approx(expected.hourly_low)
    assert found.hourly_high == pytest.approx(expected.hourly_high)
    assert found.at_most == pytest.approx(expected.at_most)


def test_the_sentence_names_machines_and_hours():
    text = in_words(Estimate(0.5, 1, 72), ["m5.xlarge", "m6i.xlarge"], 1, 72.0)
    assert text.startswith(
        "1 machine (m5.xlarge or m6i.xlarge): $0.50 to $1.00 an hour; at most $72"
    )


def test_one_price_is_no_span():
    text = in_words(Estimate(0.132, 0.134, 9.5), ["m5.xlarge"], 1, 72.0)
    assert "(m5.xlarge): $0.13 an hour; at most $9.50" in text
