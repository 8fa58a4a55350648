//! IP addresses and ranges of them (Kubernetes' IP and CIDR libraries).

use super::super::Value;
use super::super::evaluate::Run;
use super::{Row, text_at};
use crate::library::net::{Cidr, Ip};
use crate::run::Evaluated;

pub(super) const GLOBAL: &[Row] = &[
    ("ip", |run, name, of| run.ip(name, of, 0).map(Value::Ip)),
    ("isIP", |_, name, of| Ok(Value::Bool(Ip::parse(text_at(name, of, 0)?).is_some()))),
    ("ip.isCanonical", |run, name, of| {
        let ip = run.ip(name, of, 0)?;
        Ok(Value::Bool(ip.to_string() == text_at(name, of, 0)?))
    }),
    ("cidr", |run, name, of| run.cidr(name, of, 0).map(Value::Cidr)),
    ("isCIDR", |_, name, of| Ok(Value::Bool(Cidr::parse(text_at(name, of, 0)?).is_some()))),
];

pub(super) const MEMBER: &[Row] = &[
    ("family", |run, name, of| run.ip(name, of, 0).map(|ip| Value::Int(ip.family()))),
    ("isUnspecified", |run, name, of| run.is(name, of, |ip| ip.0.is_unspecified())),
    ("isLoopback", |run, name, of| run.is(name, of, |ip| ip.0.is_loopback())),
    ("isLinkLocalMulticast", |run, name, of| run.is(name, of, Ip::is_link_local_multicast)),
    ("isLinkLocalUnicast", |run, name, of| run.is(name, of, Ip::is_link_local_unicast)),
    ("isGlobalUnicast", |run, name, of| run.is(name, of, Ip::is_global_unicast)),
    ("containsIP", |run, name, of| {
        let range = run.cidr(name, of, 0)?;
        Ok(Value::Bool(range.contains(run.ip(name, of, 1)?)))
    }),
    ("containsCIDR", |run, name, of| {
        let range = run.cidr(name, of, 0)?;
        Ok(Value::Bool(range.contains_range(run.cidr(name, of, 1)?)))
    }),
    ("ip", |run, name, of| run.cidr(name, of, 0).map(|range| Value::Ip(range.address))),
    ("masked", |run, name, of| run.cidr(name, of, 0).map(|range| Value::Cidr(range.masked()))),
    ("prefixLength", |run, name, of| {
        run.cidr(name, of, 0).map(|range| Value::Int(i64::from(range.bits)))
    }),
];

impl<'p> Run<'_, 'p> {
    fn is(
        &self,
        name: &'static str,
        of: &[Value<'p>],
        kind: fn(Ip) -> bool,
    ) -> Evaluated<'p, Value<'p>> {
        self.ip(name, of, 0).map(|ip| Value::Bool(kind(ip)))
    }

    /// An argument that is an address, or a text that spells one.
    fn ip(&self, name: &'static str, of: &[Value<'p>], index: usize) -> Evaluated<'p, Ip> {
        match of.get(index) {
            Some(Value::Ip(ip)) => Ok(*ip),
            _ => Ip::parse(text_at(name, of, index)?).ok_or_else(|| self.unfit(name)),
        }
    }

    /// An argument that is a range, or a text that spells one.
    fn cidr(&self, name: &'static str, of: &[Value<'p>], index: usize) -> Evaluated<'p, Cidr> {
        match of.get(index) {
            Some(Value::Cidr(range)) => Ok(*range),
            _ => Cidr::parse(text_at(name, of, index)?).ok_or_else(|| self.unfit(name)),
        }
    }
}
