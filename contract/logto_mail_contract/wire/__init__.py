"""HTTP/1.1 as bytes, apart from any socket; knows no message."""
