"""Session descriptions and offer/answer as a state machine (:rfc:`8866`, :rfc:`3264`)."""
