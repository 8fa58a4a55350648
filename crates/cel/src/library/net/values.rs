//! An IP address and a range of them, as values.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;

use cel::common::types::Type;
use cel::common::value::{StaticVal, Val};

/// The type of an address.
pub(in crate::library) const IP: Type = Type::new_unspecified_type("net.IP");
/// The type of a range.
pub(in crate::library) const CIDR: Type = Type::new_unspecified_type("net.CIDR");

/// An IP address; never an IPv4 address mapped into IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ip(pub(crate) IpAddr);

/// A range of addresses, as it was written: `10.0.0.1/8` is that address in that range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    pub(crate) address: Ip,
    /// The bits that are the same in all of the range.
    pub(crate) bits: u8,
}

impl Ip {
    /// Reads an address: decimal without leading zeros, or IPv6 without a zone.
    #[inline(never)]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse::<IpAddr>().ok().map(|address| Ip(address.to_canonical()))
    }

    pub(crate) fn family(self) -> i64 {
        if self.0.is_ipv4() { 4 } else { 6 }
    }

    /// `224.0.0.0/24`, or multicast of link-local scope (RFC 4291, section 2.7).
    pub(crate) fn is_link_local_multicast(self) -> bool {
        match self.0 {
            IpAddr::V4(address) => matches!(address.octets(), [224, 0, 0, _]),
            IpAddr::V6(address) => {
                matches!(address.octets(), [0xff, scope, ..] if scope & 0xf == 2)
            }
        }
    }

    /// `169.254.0.0/16` or `fe80::/10`.
    pub(crate) fn is_link_local_unicast(self) -> bool {
        match self.0 {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        }
    }

    /// An address that is none of those above; private ones count, as in Go's `net/netip`.
    pub(crate) fn is_global_unicast(self) -> bool {
        let broadcast = matches!(self.0, IpAddr::V4(address) if address.is_broadcast());
        let special = self.0.is_unspecified()
            || self.0.is_loopback()
            || self.0.is_multicast()
            || self.is_link_local_unicast();
        !broadcast && !special
    }

    /// The address as a number, in the highest bits, and its number of bits.
    fn number(self) -> (u128, u8) {
        match self.0 {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        }
    }
}

impl Cidr {
    /// Reads a range, an address with the number of bits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let written = address.parse::<IpAddr>().ok()?;
        let address = Ip(written.to_canonical());
        let digits = !bits.is_empty()
            && bits.bytes().all(|byte| byte.is_ascii_digit())
            && (bits == "0" || !bits.starts_with('0'));
        let bits = bits.parse::<u8>().ok().filter(|bits| digits && *bits <= address.number().1)?;
        // A mapped address would have IPv6's number of bits, which does not fit a range of IPv4
        // addresses.
        (written == address.0).then_some(Cidr { address, bits })
    }

    fn mask(self) -> u128 {
        u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(self.bits))).unwrap_or(0)
    }

    pub(crate) fn contains(self, ip: Ip) -> bool {
        let ((own, own_family), (other, family)) = (self.address.number(), ip.number());
        own_family == family && (own ^ other) & self.mask() == 0
    }

    pub(crate) fn contains_range(self, other: Cidr) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }

    /// The range with the address that it starts with.
    pub(crate) fn masked(self) -> Cidr {
        let start = self.address.number().0 & self.mask();
        let address = match self.address.0 {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(start >> 96).unwrap_or_default().into()),
            IpAddr::V6(_) => IpAddr::V6(start.into()),
        };
        Cidr { address: Ip(address), ..self }
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

macro_rules! value {
    ($name:ident, $kind:ident) => {
        impl Val for $name {
            fn get_type(&self) -> &Type {
                Self::cel_type()
            }

            fn cel_type() -> &'static Type {
                static KIND: Type = $kind;
                &KIND
            }

            fn equals(&self, other: &dyn Val) -> bool {
                other.downcast_ref::<$name>() == Some(self)
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
            where
                Self: 'v,
            {
                Box::new(*self)
            }

            fn as_any(&self) -> Option<&dyn Any> {
                Some(self)
            }
        }

        impl StaticVal for $name {}
    };
}

value!(Ip, IP);
value!(Cidr, CIDR);

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn only_plain_addresses_and_ranges_are_read() {
        for text in ["10.0.0.1", "::1", "2001:db8::68", "255.255.255.255", "::ffff:10.0.0.1"] {
            assert!(Ip::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "10.0.0",
            "10.0.0.01",
            "10.0.0.1 ",
            "10.0.0.256",
            "::1%eth0",
            "[::1]",
            "2001:db8:::68",
            "10.0.0.1/8",
            "0x7f000001",
            "1",
        ] {
            assert_eq!(Ip::parse(text), None, "{text}");
        }
        for text in ["10.0.0.0/0", "10.0.0.1/32", "::/0", "::1/128"] {
            assert!(Cidr::parse(text).is_some(), "{text}");
        }
        for text in [
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "::/129",
            "/8",
            "10.0.0.0/-1",
            "::ffff:10.0.0.0/104",
        ] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_holds_what_shares_its_bits() {
        for (range, address, expected) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.9.8.7/8", "10.0.0.0", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.0", false),
            ("10.0.0.0/31", "10.0.0.1", true),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "10.0.0.1", false),
            ("::/0", "::ffff:10.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::", false),
            ("::1/128", "::1", true),
            ("::1/128", "::2", false),
        ] {
            assert_eq!(
                Cidr::parse(range).unwrap().contains(Ip::parse(address).unwrap()),
                expected,
                "{address} in {range}"
            );
        }
        for (outer, inner, expected) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.0.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("::/0", "10.0.0.0/8", false),
        ] {
            assert_eq!(
                Cidr::parse(outer).unwrap().contains_range(Cidr::parse(inner).unwrap()),
                expected,
                "{inner} in {outer}"
            );
        }
        for (range, masked) in [
            ("10.9.8.7/8", "10.0.0.0/8"),
            ("10.9.8.7/32", "10.9.8.7/32"),
            ("10.9.8.7/0", "0.0.0.0/0"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::1/0", "::/0"),
        ] {
            assert_eq!(Cidr::parse(range).unwrap().masked().to_string(), masked);
        }
    }

    #[test]
    fn kinds_of_addresses_are_told_apart() {
        type Kind = fn(Ip) -> bool;
        let kinds: [(&str, Kind, &[&str]); 5] = [
            ("unspecified", |ip| ip.0.is_unspecified(), &["0.0.0.0", "::"]),
            (
                "loopback",
                |ip| ip.0.is_loopback(),
                &["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"],
            ),
            (
                "link-local multicast",
                Ip::is_link_local_multicast,
                &["224.0.0.1", "ff02::1", "ff12::1"],
            ),
            (
                "link-local unicast",
                Ip::is_link_local_unicast,
                &["169.254.169.254", "fe80::1", "febf::1"],
            ),
            (
                "global unicast",
                Ip::is_global_unicast,
                &["192.168.0.1", "10.0.0.1", "8.8.8.8", "2001:db8::abcd", "fd00::1"],
            ),
        ];
        let none: &[&str] = &["255.255.255.255", "224.0.1.1", "ff05::1"];
        for (name, is, _) in kinds {
            for (other, _, addresses) in kinds {
                for address in addresses {
                    assert_eq!(
                        is(Ip::parse(address).unwrap()),
                        name == other,
                        "{address} is {name}"
                    );
                }
            }
            for address in none {
                assert!(!is(Ip::parse(address).unwrap()), "{address} is {name}");
            }
        }
    }
}
