//! Refuses, before any rule, a request that an origin could read differently from the rules, and
//! one whose host is not the destination that was dialled.

use std::borrow::Cow;

use super::{Ending, Flow, Turn};
use crate::config::HostBinding;
use crate::decision::Reason;
use crate::plain;
use crate::policy::Engine;
use crate::policy::index::Groups;
use crate::reading;
use crate::request::headers::{Headers, Known};
use crate::request::{Facts, host};

/// A request whose host is known.
#[derive(Debug)]
pub(crate) struct Admitted<'h, 'g> {
    /// The host, in its canonical form.
    pub(crate) host: Cow<'h, str>,
    /// The groups of policies for the host.
    pub(crate) groups: Groups<'g>,
    /// The path and query as they came.
    path: &'h [u8],
    /// Whether the path may have percent escapes, of which there may be two readings.
    pub(crate) path_has_escapes: bool,
    /// The path without its query, where it is plain: without escapes, and safe in every mode.
    pub(crate) plain_path: Option<&'h str>,
}

impl<'h, 'g> Admitted<'h, 'g> {
    /// Finds the host of a request, and the policies for it.
    ///
    /// # Errors
    /// If the request names no host, or several.
    pub(crate) fn of(engine: &'g Engine, facts: &'h Facts<'_>) -> Result<Self, &'static str> {
        let host = request_host(&facts.headers)?;
        let path = facts.headers.known(Known::PATH).unwrap_or_default();
        let groups = engine.index.groups(&host);
        let plain_path = plain::path(path);
        let path_has_escapes = plain_path.is_none() && path.contains(&b'%');
        Ok(Admitted { host, groups, path, path_has_escapes, plain_path })
    }
}

/// Admits or refuses a request.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let malformed =
        |reason, detail| Flow::End(Ending { detail: Some(detail), ..Ending::because(reason) });
    let (engine, facts) = (turn.engine, turn.facts);
    let admitted = match Admitted::of(engine, facts) {
        Ok(admitted) => turn.admitted.insert(admitted),
        Err(why) => return malformed(Reason::BadHost, why),
    };
    let path_safety = admitted.groups.path_safety().unwrap_or(engine.path_safety);
    if admitted.plain_path.is_none()
        && let Some(why) = path_safety.objection(admitted.path)
    {
        return malformed(Reason::PathUnsafe, why);
    }
    if let Some((reason, why)) = reading::objection(&facts.headers) {
        return malformed(reason, why);
    }
    if engine.host_binding == HostBinding::Strict && facts.is_astray(&admitted.host) {
        return Flow::End(Ending::because(Reason::HostMismatch));
    }
    Flow::Next
}

/// The one host that a request names.
///
/// # Errors
/// If there is none, or more than one.
pub(crate) fn request_host<'h>(headers: &'h Headers<'_>) -> Result<Cow<'h, str>, &'static str> {
    let host = host::canonical(headers.known(Known::AUTHORITY).unwrap_or_default())?;
    // Origins do not agree on which of two hosts counts.
    let is_other = |other| host::canonical(other).as_deref() != Ok(&*host);
    if (headers.may_repeat_known(Known::AUTHORITY)
        && headers.values(Known::AUTHORITY.name).count() > 1)
        || (headers.may_have_known(Known::HOST) && headers.values(Known::HOST.name).any(is_other))
    {
        return Err("more than one host");
    }
    Ok(host)
}
