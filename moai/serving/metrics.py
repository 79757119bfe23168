"""What the server counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 25, 60, 120)
ROWS = (1, 2, 4, 8, 16, 32)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        whole = {"registry": self.registry}
        self.requests = Counter("moai_requests", "Requests for answers, by status", ["status"], **whole)
        self.seconds = Histogram("moai_request_seconds", "From request to last word", buckets=SECONDS, **whole)
        self.first = Histogram("moai_first_piece_seconds", "From request to first words", buckets=SECONDS, **whole)
        self.prompt_tokens = Counter("moai_prompt_tokens", "Tokens read", **whole)
        self.new_tokens = Counter("moai_completion_tokens", "Tokens written", **whole)
        self.present = Gauge("moai_requests_present", "Requests that are answered or wait", **whole)
        self.gone = Counter("moai_clients_gone", "Requests whose client left before the last word", **whole)
        self.rows = Histogram("moai_batch_rows", "Answers that a step of the decoder writes on", buckets=ROWS, **whole)
        self.pictures = Histogram(
            "moai_batch_pictures", "Pictures that experts look at together", buckets=ROWS, **whole
        )

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
