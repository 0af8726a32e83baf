"""The conformance kit: what a plugin must keep to, as checks that its author runs in his own tests.

    from lmbench.testing import parametrize

    @parametrize("my_plugin.plugin")
    def test_the_plugin_keeps_its_contract(check):
        check()

``lmbench plugin check NAME`` runs the same checks from the command line.
"""

from lmbench.testing.conformance import (
    Check,
    Report,
    Result,
    check_plugin,
    conformance_checks,
    parametrize,
    run_checks,
)

__all__ = ["Check", "Report", "Result", "check_plugin", "conformance_checks", "parametrize", "run_checks"]
