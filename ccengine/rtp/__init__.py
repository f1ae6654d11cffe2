"""RTP and RTCP packets, telephone events and jitter buffer (:rfc:`3550`, :rfc:`4733`)."""
