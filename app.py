"""The web page: ask about a picture, and see what the experts saw and whom the model listened to.

python app.py [--model MODEL] [--host HOST] [--port PORT] [--quantize TIER] [--experts-from PRESET|FILE]
"""

import argparse
import sys

from moai.web.server import HOST, PORT, serve


def main(argv: list[str] | None = None) -> int:
    """Serve the page until interrupted; 2 after one sentence on standard error when it cannot be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="folder or hub id of a MoAI model (default: the embedded one)")
    parser.add_argument("--host", default=HOST, help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="port to listen at (default: %(default)s)")
    parser.add_argument("--quantize", metavar="TIER", help="bf16, int8 or int4: needs less memory")
    parser.add_argument("--experts-from", metavar="PRESET|FILE", help="other experts than the model's own")
    try:
        serve(**vars(parser.parse_args(argv)))
    except ValueError as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
