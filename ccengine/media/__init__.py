"""Media worker processes: RTP in, mix, record, RTP out."""
