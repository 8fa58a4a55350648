//! `ip`, `isIP`, `cidr`, `isCIDR` and their methods (Kubernetes' IP and CIDR libraries).
//!
//! An IPv4 address in IPv6's clothes, `::ffff:10.0.0.1`, is the IPv4 address: a rule about `10.0.0.0/8` is not dodged by the
//! other spelling.

mod values;

use cel::common::types::{CelBool, CelInt, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

pub(in crate::cel) use self::values::{Cidr, Ip};
use super::{argument, failed, global, member, string, text};

pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    global(env, "ip", vec![STRING_TYPE], |arguments| ip("ip", &arguments, 0).map(CowVal::owned))?;
    global(env, "isIP", vec![STRING_TYPE], |arguments| Ok(bool(Ip::parse(text("isIP", &arguments, 0)?).is_some())))?;
    global(env, "ip.isCanonical", vec![STRING_TYPE], |arguments| {
        let written = text("ip.isCanonical", &arguments, 0)?;
        Ok(bool(ip("ip.isCanonical", &arguments, 0)?.to_string() == written))
    })?;
    global(env, "cidr", vec![STRING_TYPE], |arguments| cidr("cidr", &arguments, 0).map(CowVal::owned))?;
    global(env, "isCIDR", vec![STRING_TYPE], |arguments| Ok(bool(Cidr::parse(text("isCIDR", &arguments, 0)?).is_some())))?;
    for taken in [|| values::IP, || values::CIDR] {
        global(env, "string", vec![taken()], |arguments| {
            let shown = arguments.first().and_then(|value| text_of(value.as_ref()));
            shown.map(string).ok_or_else(|| failed("string", "an argument of another type"))
        })?;
    }

    let mut of_ip = |name, method| member(env, name, values::IP, vec![], method);
    of_ip("family", |arguments| Ok(CowVal::owned(CelInt::from(ip("family", &arguments, 0)?.family()))))?;
    of_ip("isUnspecified", |arguments| Ok(bool(ip("isUnspecified", &arguments, 0)?.0.is_unspecified())))?;
    of_ip("isLoopback", |arguments| Ok(bool(ip("isLoopback", &arguments, 0)?.0.is_loopback())))?;
    of_ip("isLinkLocalMulticast", |arguments| Ok(bool(ip("isLinkLocalMulticast", &arguments, 0)?.is_link_local_multicast())))?;
    of_ip("isLinkLocalUnicast", |arguments| Ok(bool(ip("isLinkLocalUnicast", &arguments, 0)?.is_link_local_unicast())))?;
    of_ip("isGlobalUnicast", |arguments| Ok(bool(ip("isGlobalUnicast", &arguments, 0)?.is_global_unicast())))?;

    let mut of_cidr = |name, parameters, method| member(env, name, values::CIDR, parameters, method);
    for taken in [|| values::IP, || STRING_TYPE] {
        of_cidr("containsIP", vec![taken()], |arguments| {
            Ok(bool(cidr("containsIP", &arguments, 0)?.contains(ip("containsIP", &arguments, 1)?)))
        })?;
    }
    for taken in [|| values::CIDR, || STRING_TYPE] {
        of_cidr("containsCIDR", vec![taken()], |arguments| {
            Ok(bool(cidr("containsCIDR", &arguments, 0)?.contains_range(cidr("containsCIDR", &arguments, 1)?)))
        })?;
    }
    of_cidr("ip", vec![], |arguments| Ok(CowVal::owned(cidr("ip", &arguments, 0)?.address)))?;
    of_cidr("masked", vec![], |arguments| Ok(CowVal::owned(cidr("masked", &arguments, 0)?.masked())))?;
    of_cidr("prefixLength", vec![], |arguments| Ok(CowVal::owned(CelInt::from(i64::from(cidr("prefixLength", &arguments, 0)?.bits)))))
}

fn bool<'b, 'v>(value: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(value))
}

/// An argument that is an address, or a string that spells one.
fn ip(function: &str, arguments: &[CowVal<'_, '_>], index: usize) -> Result<Ip, ExecutionError> {
    match argument::<Ip>(function, arguments, index) {
        Ok(ip) => Ok(*ip),
        Err(_) => Ip::parse(text(function, arguments, index)?).ok_or_else(|| failed(function, "no IP address")),
    }
}

/// An argument that is a range, or a string that spells one.
fn cidr(function: &str, arguments: &[CowVal<'_, '_>], index: usize) -> Result<Cidr, ExecutionError> {
    match argument::<Cidr>(function, arguments, index) {
        Ok(cidr) => Ok(*cidr),
        Err(_) => Cidr::parse(text(function, arguments, index)?).ok_or_else(|| failed(function, "no range of IP addresses")),
    }
}

/// How an address or range is written.
pub(super) fn text_of(value: &dyn Val) -> Option<String> {
    let address = value.downcast_ref::<Ip>().map(Ip::to_string);
    address.or_else(|| value.downcast_ref::<Cidr>().map(Cidr::to_string))
}
