"""What the clients that speak HTTP share: framing, transport, putting a reply together. No client stands here."""
