"""Who sent a request that came through proxies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._http.forwarded import Proxies, forwarded_host, forwarded_scheme
from perdure.web import Address

PROXY = Address("127.0.0.1", 5)


class TestTrust:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", None])
    def test_by_default_this_machine_is_trusted(self, host):
        """None is the peer of a Unix socket."""
        assert Proxies().trusts(host)

    @pytest.mark.parametrize("host", ["10.0.0.1", "::2", "128.0.0.1", "nonsense", ""])
    def test_by_default_no_other_is(self, host):
        """Whatever it calls itself."""
        assert not Proxies().trusts(host)

    def test_addresses_and_networks_are_named(self):
        """Of both families."""
        proxies = Proxies("10.1.0.0/16, 192.168.0.7,fd00::/8")
        assert all(proxies.trusts(host) for host in ("10.1.2.3", "192.168.0.7", "fd12::1"))
        assert not any(proxies.trusts(host) for host in ("10.2.0.1", "192.168.0.8", "fe80::1", "127.0.0.1"))

    def test_a_star_is_everybody(self):
        """For networks that only proxies can reach."""
        assert Proxies("*").trusts("8.8.8.8")

    @pytest.mark.parametrize("allowed", ["localhost", "10.0.0.0/99", "10.1.2.3/16"])
    def test_what_is_no_address_is_refused(self, allowed):
        """With the form that is expected."""
        with pytest.raises(ValueError, match=r"no IP address or network; write them like 10\.0\.0\.5"):
            Proxies(allowed)


class TestSender:
    @pytest.mark.parametrize(
        ("chain", "sender"),
        [
            (None, PROXY),
            ("", PROXY),
            ("1.2.3.4", ("1.2.3.4", None)),
            ("6.6.6.6, 1.2.3.4", ("1.2.3.4", None)),
            ("6.6.6.6, 1.2.3.4, 10.0.0.9", ("1.2.3.4", None)),
            ("10.0.0.8, 10.0.0.9", ("10.0.0.8", None)),
            ("1.2.3.4:567", ("1.2.3.4", 567)),
            ("1.2.3.4:99999", ("1.2.3.4", None)),
            ("1.2.3.4:0655350", ("1.2.3.4", None)),
            pytest.param("1.2.3.4:" + "0" * 5000, ("1.2.3.4", None), id="thousands of digits"),
            ("2001:db8::1", ("2001:db8::1", None)),
            ("[2001:db8::1]:567", ("2001:db8::1", 567)),
            ("1.2.3.4, unknown", None),
            ("unknown, 1.2.3.4", ("1.2.3.4", None)),
            (" , ,1.2.3.4,, ", ("1.2.3.4", None)),
        ],
    )
    def test_it_is_the_last_one_that_is_no_proxy_of_ours(self, chain, sender):
        """What stands further left anybody may have written."""
        assert Proxies("127.0.0.1,10.0.0.0/8").sender(PROXY, chain) == sender


@pytest.mark.parametrize(
    ("header", "scheme"),
    [
        ("https", "https"),
        ("HTTP", "http"),
        ("http, https", "https"),
        ("wss", "https"),
        ("gopher", None),
        ("", None),
    ],
)
def test_the_scheme_is_the_last_one_named(header, scheme):
    """That is the word of the proxy which talks to us."""
    assert forwarded_scheme({"x-forwarded-proto": header}) == scheme


@pytest.mark.parametrize(("header", "host"), [("a.example", "a.example"), ("evil, b:8", "b:8"), ("", None)])
def test_the_host_is_the_last_one_named(header, host):
    """As with the scheme."""
    assert forwarded_host({"x-forwarded-host": header}) == host


def test_without_headers_nothing_is_forwarded():
    """The request stands as it came."""
    assert (forwarded_scheme({}), forwarded_host({})) == (None, None)


@pytest.mark.fuzz
@given(st.text() | st.text("0123456789abcdef.:[],%/ ", max_size=60))
def test_any_header_names_an_address_or_nobody(text):
    """Nothing is raised, whoever wrote it."""
    sender = Proxies("*").sender(PROXY, text)
    assert sender is None or sender.port is None or 0 <= sender.port < 65536
    forwarded_scheme({"x-forwarded-proto": text})
    forwarded_host({"x-forwarded-host": text})
