//! The contestants, and the requests that they are asked.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::envoys::Plugin;
use super::guests::Guests;
use super::policies::{Audit, Shape, Workshop};
use super::{BenchError, Options, peers};
use e2e::envoy::filter_wasm;

/// A filter with a configuration, or what stands in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The same chain without a filter.
    NoFilter,
    /// A wasm filter that lets every request go on.
    Empty,
    /// The workshop's policy by hand, in wasm.
    Floor,
    /// The same, which also binds the request's host to the service that was dialled, as ours does.
    FloorBinding,
    /// Ours with the workshop's policies, no decision logged.
    Workshop,
    /// Ours with the workshop's policies, denials logged: the default.
    WorkshopDenied,
    /// An older module with the same.
    Before,
    /// Ours with the workshop's policies, every decision logged.
    WorkshopAll,
    /// Ours with the workshop's policies, no decision logged, the host not bound.
    WorkshopUnbound,
    /// Ours with the workshop's policies, and a rule that goes through all headers.
    Macro,
    /// Ours with the workshop's policies amid so many for other hosts.
    AmidHosts(usize),
    /// The same, the hosts compared in the expressions.
    AmidHostEquals(usize),
    /// Ours with the workshop's policies amid so many for other callers.
    AmidCallers(usize),
    /// Ours with the workshop's policies amid so many for other paths.
    AmidPaths(usize),
    /// A quarter of each of these.
    Amid(usize),
    /// Envoy's RBAC filter and header_mutation, a list of policies: the workshop's is tried after
    /// so many others.
    Native(usize),
    /// The same, the workshop's policy in the middle of the list.
    NativeHalfway(usize),
    /// The same as a matching tree.
    Tree(usize),
    /// Envoy's Lua filter: the workshop's policy amid so many others.
    Lua(usize),
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A request that the workshop's policies allow.
    Allowed,
    /// A request that they deny.
    Denied,
}

impl Asked {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Allowed => "/zen",
            Self::Denied => "/users/torvalds",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }
}

impl Subject {
    /// What the report calls it.
    pub(super) fn name(self) -> String {
        match self {
            Self::NoFilter => "no filter".to_owned(),
            Self::Empty => "empty wasm filter".to_owned(),
            Self::Floor => "floor".to_owned(),
            Self::FloorBinding => "floor, host bound".to_owned(),
            Self::Workshop => "ours, nothing logged".to_owned(),
            Self::WorkshopDenied => "ours, denials logged".to_owned(),
            Self::Before => "ours as it was, denials logged".to_owned(),
            Self::WorkshopAll => "ours, all logged".to_owned(),
            Self::WorkshopUnbound => "ours, host not bound".to_owned(),
            Self::Macro => "ours, with a macro".to_owned(),
            Self::Native(0) => "native RBAC".to_owned(),
            Self::Tree(0) => "native RBAC, matching tree".to_owned(),
            Self::Lua(0) => "Lua".to_owned(),
            Self::Native(others) => format!("native RBAC, {others} others before"),
            Self::NativeHalfway(others) => format!("native RBAC, {others} others around"),
            Self::Tree(others) => format!("native RBAC, matching tree, {others} others"),
            Self::Lua(others) => format!("Lua, {others} others"),
            _ => {
                format!("ours, {} others ({})", self.others(), self.shape().map_or("", Shape::name))
            }
        }
    }

    /// How many policies there are beside the workshop's.
    pub(super) fn others(self) -> usize {
        match self {
            Self::AmidHosts(others)
            | Self::AmidHostEquals(others)
            | Self::AmidCallers(others)
            | Self::AmidPaths(others)
            | Self::Amid(others)
            | Self::Native(others)
            | Self::NativeHalfway(others)
            | Self::Tree(others)
            | Self::Lua(others) => others,
            _ => 0,
        }
    }

    /// What the policies beside the workshop's are like.
    pub(super) fn shape(self) -> Option<Shape> {
        match self {
            Self::AmidHosts(_) => Some(Shape::Hosts),
            Self::AmidHostEquals(_) => Some(Shape::HostEquals),
            Self::AmidCallers(_) => Some(Shape::Callers),
            Self::AmidPaths(_) => Some(Shape::Paths),
            Self::Amid(_) => Some(Shape::Mixed),
            _ => None,
        }
    }

    /// Ours amid policies of this shape.
    pub(super) fn amid(shape: Shape, others: usize) -> Self {
        match shape {
            Shape::Hosts => Self::AmidHosts(others),
            Shape::HostEquals => Self::AmidHostEquals(others),
            Shape::Callers => Self::AmidCallers(others),
            Shape::Paths => Self::AmidPaths(others),
            Shape::Mixed => Self::Amid(others),
        }
    }

    /// Whether the contestant denies anything.
    pub(super) fn denies(self) -> bool {
        !matches!(self, Self::NoFilter | Self::Empty)
    }

    /// The status that it must answer.
    pub(super) fn status(self, asked: Asked) -> u16 {
        if asked == Asked::Denied && self.denies() { 403 } else { 200 }
    }
}

/// What all contestants are made of.
#[derive(Debug)]
pub(super) struct Contestants {
    pub(super) guests: Guests,
    pub(super) workshop: Workshop,
    before: Option<PathBuf>,
}

impl Contestants {
    pub(super) fn new(guests: &Guests, options: &Options) -> Result<Self, BenchError> {
        let (guests, before) = (guests.clone(), options.before.clone());
        Ok(Self { guests, workshop: Workshop::load()?, before })
    }

    /// [`Subject::Before`], where there is an older module.
    pub(super) fn before(&self) -> Option<Subject> {
        self.before.as_ref().map(|_| Subject::Before)
    }

    /// The module and the plugin's configuration, where it is a wasm filter.
    pub(super) fn plugin(&self, subject: Subject) -> Option<Plugin> {
        let bare = |module: &PathBuf| {
            Some(Plugin { module: module.clone(), configuration: String::new() })
        };
        let ours = |workshop: &Workshop| {
            Some(Plugin { module: filter_wasm(), configuration: workshop.text() })
        };
        let quiet = self.workshop.audit(Audit::None);
        match subject {
            Subject::NoFilter
            | Subject::Native(_)
            | Subject::NativeHalfway(_)
            | Subject::Tree(_)
            | Subject::Lua(_) => None,
            Subject::Empty => bare(&self.guests.empty),
            Subject::Floor => bare(&self.guests.floor),
            Subject::FloorBinding => bare(&self.guests.floor_binding),
            Subject::Workshop => ours(&quiet),
            Subject::WorkshopDenied => ours(&self.workshop.audit(Audit::Denied)),
            Subject::Before => {
                let configuration = self.workshop.audit(Audit::Denied).text();
                self.before.clone().map(|module| Plugin { module, configuration })
            }
            Subject::WorkshopAll => ours(&self.workshop.audit(Audit::All)),
            Subject::WorkshopUnbound => ours(&quiet.unbound()),
            Subject::Macro => {
                ours(&quiet.denying(
                    "macro",
                    r#"request.headers.exists(name, name.startsWith("x-evil-"))"#,
                ))
            }
            _ => ours(&quiet.amid(subject.shape().unwrap_or(Shape::Mixed), subject.others())),
        }
    }

    /// The HTTP filters that stand for it in an Envoy.
    pub(super) fn filters(&self, subject: Subject) -> Result<Vec<Value>, BenchError> {
        Ok(match subject {
            Subject::NoFilter => Vec::new(),
            Subject::Native(others) => peers::native(others, others),
            Subject::NativeHalfway(others) => peers::native(others, others / 2),
            Subject::Tree(others) => peers::tree(others),
            Subject::Lua(others) => peers::lua(others),
            _ => match self.plugin(subject) {
                Some(plugin) => {
                    vec![json!({"name": e2e::ecds::PLUGIN, "typed_config": plugin.typed_config()?})]
                }
                None => Vec::new(),
            },
        })
    }
}
