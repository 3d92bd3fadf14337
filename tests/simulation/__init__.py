"""The whole cluster in one process under one seed: real workers, and a clock, a log and nodes in memory."""
