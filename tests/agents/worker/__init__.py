"""Tests of the Faust worker."""
