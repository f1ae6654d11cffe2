"""SIP messages, transactions, dialogs and registrar, sans-IO (:rfc:`3261`)."""
