"""The benchmark of the page says what it found."""

from benchmarks import page


def test_medians_frames_and_answers_are_told() -> None:
    starts = [{"page": page_, "image": 2.0, "torch": 3.0} for page_ in (0.9, 1.1, 5.0)]
    answers = {"200": 9_000, "403 to a wrong cookie": 1_000}
    requests = {"statuses": answers, "seconds": 41.0, "before": 600 << 20, "after": 601 << 20}
    text = page.markdown({"starts": starts, "frames": {"28x28, grey": 24.6, "none": None}, "requests": requests})
    assert "answers with its page 1.10 s after the command" in text
    assert "| 28x28, grey | 25 |" in text
    assert "| none | - |" in text
    assert "10,000 requests for an image" in text
    assert "9,000 times 200, 1,000 times 403 to a wrong cookie, in 41 s" in text
    assert "from 600 to 601 MiB" in text
