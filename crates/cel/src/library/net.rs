//! `ip`, `isIP`, `cidr`, `isCIDR` and their methods (Kubernetes' IP and CIDR libraries).
//!
//! An IPv4 address mapped into IPv6, `::ffff:10.0.0.1`, counts as the IPv4 address, so that a rule
//! about `10.0.0.0/8` cannot be evaded by the other spelling.

mod values;

use cel::ExecutionError;
use cel::common::types::{CelBool, CelInt};
use cel::common::value::{CowVal, Val};

pub(super) use self::values::{CIDR, IP};
pub(crate) use self::values::{Cidr, Ip};
use super::Parameter::Text;
use super::Style::{Global, Member};
use super::{Evaluated, Overload, Parameter, argument, failed, run, string, text};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload("ip", Global, &[Text], |arguments| {
        run(arguments, |arguments| Ok(CowVal::owned(ip("ip", arguments, 0)?)))
    }),
    Overload("isIP", Global, &[Text], |arguments| {
        run(arguments, |arguments| bool(Ip::parse(text("isIP", arguments, 0)?).is_some()))
    }),
    Overload("ip.isCanonical", Global, &[Text], |arguments| run(arguments, is_canonical)),
    Overload("cidr", Global, &[Text], |arguments| {
        run(arguments, |arguments| Ok(CowVal::owned(cidr("cidr", arguments, 0)?)))
    }),
    Overload("isCIDR", Global, &[Text], |arguments| {
        run(arguments, |arguments| bool(Cidr::parse(text("isCIDR", arguments, 0)?).is_some()))
    }),
    Overload("string", Global, &[Parameter::Ip], |arguments| run(arguments, shown)),
    Overload("string", Global, &[Parameter::Cidr], |arguments| run(arguments, shown)),
    Overload("family", Member, &[Parameter::Ip], |arguments| run(arguments, family)),
    Overload("isUnspecified", Member, &[Parameter::Ip], |arguments| {
        run(arguments, |of| is(of, |ip| ip.0.is_unspecified()))
    }),
    Overload("isLoopback", Member, &[Parameter::Ip], |arguments| {
        run(arguments, |of| is(of, |ip| ip.0.is_loopback()))
    }),
    Overload("isLinkLocalMulticast", Member, &[Parameter::Ip], |arguments| {
        run(arguments, |of| is(of, Ip::is_link_local_multicast))
    }),
    Overload("isLinkLocalUnicast", Member, &[Parameter::Ip], |arguments| {
        run(arguments, |of| is(of, Ip::is_link_local_unicast))
    }),
    Overload("isGlobalUnicast", Member, &[Parameter::Ip], |arguments| {
        run(arguments, |of| is(of, Ip::is_global_unicast))
    }),
    Overload("containsIP", Member, &[Parameter::Cidr, Parameter::Ip], |arguments| {
        run(arguments, contains_ip)
    }),
    Overload("containsIP", Member, &[Parameter::Cidr, Text], |arguments| {
        run(arguments, contains_ip)
    }),
    Overload("containsCIDR", Member, &[Parameter::Cidr, Parameter::Cidr], |arguments| {
        run(arguments, contains_cidr)
    }),
    Overload("containsCIDR", Member, &[Parameter::Cidr, Text], |arguments| {
        run(arguments, contains_cidr)
    }),
    Overload("ip", Member, &[Parameter::Cidr], |arguments| {
        run(arguments, |of| Ok(CowVal::owned(cidr("ip", of, 0)?.address)))
    }),
    Overload("masked", Member, &[Parameter::Cidr], |arguments| {
        run(arguments, |of| Ok(CowVal::owned(cidr("masked", of, 0)?.masked())))
    }),
    Overload("prefixLength", Member, &[Parameter::Cidr], |arguments| run(arguments, prefix_length)),
];

fn is_canonical<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let written = text("ip.isCanonical", arguments, 0)?;
    bool(ip("ip.isCanonical", arguments, 0)?.to_string() == written)
}

fn shown<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let shown = arguments.first().and_then(|value| text_of(value.as_ref()));
    shown.map(string).ok_or_else(|| failed("string", "an argument of another type"))
}

fn family<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    Ok(CowVal::owned(CelInt::from(ip("family", arguments, 0)?.family())))
}

fn is<'b, 'v>(arguments: &[CowVal<'b, 'v>], kind: fn(Ip) -> bool) -> Evaluated<'b, 'v> {
    bool(kind(ip("ip", arguments, 0)?))
}

fn contains_ip<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    bool(cidr("containsIP", arguments, 0)?.contains(ip("containsIP", arguments, 1)?))
}

fn contains_cidr<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    bool(cidr("containsCIDR", arguments, 0)?.contains_range(cidr("containsCIDR", arguments, 1)?))
}

fn prefix_length<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    Ok(CowVal::owned(CelInt::from(i64::from(cidr("prefixLength", arguments, 0)?.bits))))
}

#[inline(never)]
fn bool<'b, 'v>(value: bool) -> Evaluated<'b, 'v> {
    Ok(CowVal::owned(CelBool::from(value)))
}

/// An argument that is an address, or a string that spells one.
#[inline(never)]
fn ip(function: &str, arguments: &[CowVal<'_, '_>], index: usize) -> Result<Ip, ExecutionError> {
    match argument::<Ip>(function, arguments, index) {
        Ok(ip) => Ok(*ip),
        Err(_) => Ip::parse(text(function, arguments, index)?)
            .ok_or_else(|| failed(function, "no IP address")),
    }
}

/// An argument that is a range, or a string that spells one.
#[inline(never)]
fn cidr(
    function: &str,
    arguments: &[CowVal<'_, '_>],
    index: usize,
) -> Result<Cidr, ExecutionError> {
    match argument::<Cidr>(function, arguments, index) {
        Ok(cidr) => Ok(*cidr),
        Err(_) => Cidr::parse(text(function, arguments, index)?)
            .ok_or_else(|| failed(function, "no range of IP addresses")),
    }
}

/// How an address or range is written.
pub(crate) fn text_of(value: &dyn Val) -> Option<String> {
    let address = value.downcast_ref::<Ip>().map(Ip::to_string);
    address.or_else(|| value.downcast_ref::<Cidr>().map(Cidr::to_string))
}
