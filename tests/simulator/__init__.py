"""Tests of the stand-in for Meta: what it promises is what every other test relies on."""
