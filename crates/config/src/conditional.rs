//! `conditional`: several forms of one feature, of which a request gets the first whose condition
//! is true.

use super::Expr;
use super::decode::{Errors, Node, Object};
use super::read::read_expression;
use super::shape::{Bounds, Condition, Field, Kind, Text, field, required};

/// The most entries of one `conditional`.
pub const MAX_CONDITIONAL: usize = 16;

/// A feature of a policy: one form for every request, or several with conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionalConfig<T> {
    /// One form for every request.
    Always(T),
    /// `conditional`: the first entry whose condition is true is used.
    FirstTrue {
        /// The JSON path of the list, for messages.
        place: String,
        /// The entries, in order.
        entries: Vec<EntryConfig<T>>,
    },
}

/// One of `conditional`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryConfig<T> {
    /// The condition; none for the fallback, which is the last entry.
    pub condition: Option<Expr>,
    /// What the request gets.
    pub value: T,
}

impl<T: Default> Default for ConditionalConfig<T> {
    fn default() -> Self {
        ConditionalConfig::Always(T::default())
    }
}

impl<T> ConditionalConfig<T> {
    /// All forms, in order.
    pub fn forms(&self) -> impl Iterator<Item = &T> {
        let (always, entries) = match self {
            ConditionalConfig::Always(value) => (Some(value), [].as_slice()),
            ConditionalConfig::FirstTrue { entries, .. } => (None, entries.as_slice()),
        };
        always.into_iter().chain(entries.iter().map(|entry| &entry.value))
    }

    /// The form at an index, which is 0 where there are no conditions.
    #[must_use]
    pub fn get(&self, entry: usize) -> Option<&T> {
        match self {
            ConditionalConfig::Always(value) => (entry == 0).then_some(value),
            ConditionalConfig::FirstTrue { entries, .. } => {
                entries.get(entry).map(|entry| &entry.value)
            }
        }
    }
}

/// The shape of a feature that may be conditional.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The fields of the feature, `conditional` among them.
    pub(super) whole: &'static [Field],
    /// The conditions on these.
    pub(super) whole_is: &'static [Condition],
    /// The fields of one form, as the `policy` of an entry.
    pub(super) form: &'static [Field],
    /// The conditions on these.
    pub(super) form_is: &'static [Condition],
}

/// The fields of a form, and `conditional` behind them. `M` is one more than `N`.
pub(super) const fn and_conditional<const N: usize, const M: usize>(
    form: [Field; N],
    conditional: Field,
) -> [Field; M] {
    let mut whole = [conditional; M];
    let (mut rest, mut fields): (&mut [Field], &[Field]) = (&mut whole, &form);
    while let (Some((slot, slots)), Some((field, more))) =
        (rest.split_first_mut(), fields.split_first())
    {
        *slot = *field;
        (rest, fields) = (slots, more);
    }
    whole
}

/// `conditional`
pub(super) const ENTRIES: Bounds =
    Bounds { limit: MAX_CONDITIONAL, if_empty: Some("give an entry, or leave the field out") };

pub(super) const CONDITIONAL: &str = "Instead of the other fields: several forms with conditions. \
    A request gets the first whose condition is true, and none if no condition is. A condition \
    that fails denies the request.";

/// One of `conditional`.
pub(super) const fn entry(policy: Kind) -> [Field; 2] {
    [
        field(
            "condition",
            Kind::Text(Text::Expression),
            "A CEL expression that returns a bool, over the request as it came. Only the last \
             entry may be without one.",
        ),
        required("policy", policy, "What the request gets if the condition is true."),
    ]
}

/// Reads a feature that may be conditional. `form` reads one form of it.
pub(super) fn read<T>(
    node: &Node<'_>,
    shape: Shape,
    errors: &mut Errors,
    form: impl Fn(&Object<'_>, &mut Errors) -> Option<T>,
) -> Option<ConditionalConfig<T>> {
    let fields = node.object(shape.whole, errors)?;
    fields.check(shape.whole_is, errors);
    let Some(list) = fields.get("conditional") else {
        return form(&fields, errors).map(ConditionalConfig::Always);
    };
    let items = list.list(ENTRIES, errors);
    let mut entries = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let is_last = index.saturating_add(1) == items.len();
        entries.extend(read_entry(item, is_last, shape, errors, &form));
    }
    Some(ConditionalConfig::FirstTrue { place: list.place, entries })
}

fn read_entry<T>(
    item: &Node<'_>,
    is_last: bool,
    shape: Shape,
    errors: &mut Errors,
    form: impl Fn(&Object<'_>, &mut Errors) -> Option<T>,
) -> Option<EntryConfig<T>> {
    // What `policy` has is checked with the fields of one form.
    let fields = item.object(&entry(Kind::Object(shape.form, shape.form_is)), errors)?;
    let condition = fields.get("condition");
    if condition.is_none() && !is_last {
        errors.add(
            &item.place,
            "field `condition` is missing: only the last entry may be without one, as those \
             behind it would never be used",
        );
    }
    let condition = condition.and_then(|node| read_expression(&node, errors));
    let policy = fields.get("policy").and_then(|node| node.object(shape.form, errors))?;
    policy.check(shape.form_is, errors);
    Some(EntryConfig { condition, value: form(&policy, errors)? })
}
