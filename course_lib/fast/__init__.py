"""What the chapters show simply, done fast: EM in blocks, diagonals, queues, the compiled loop."""
