//! Puts policies into the place where a resource has them.

use crate::emit::{Item, Tree};
use crate::manifest::Plugin;

/// The resource of a plugin with other policies.
pub(super) fn replace_policies(plugin: Plugin<'_>, policies: Vec<Item>) -> Tree {
    let mut resource = Tree::of(plugin.resource);
    let mut path = plugin.prefix().split('.').filter(|name| !name.is_empty()).chain(["policies"]);
    if let Some(place) = path.try_fold(&mut resource, |tree, name| field(tree, name)) {
        *place = Tree::List(policies);
    }
    resource
}

/// The value of a field.
pub(super) fn field<'t>(tree: &'t mut Tree, name: &str) -> Option<&'t mut Tree> {
    let Tree::Map(fields) = tree else { return None };
    fields.iter_mut().find(|(field, _)| field == name).map(|(_, value)| value)
}
