//! Values, as the filter and as prost have them.

use egress_filter::cel::data::Data;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value};
use proptest::prelude::*;

/// Data that JSON has a form for, as deep as the filter takes it.
pub(crate) fn entries() -> impl Strategy<Value = Vec<(String, Data)>> {
    let leaf = prop_oneof![
        Just(Data::Null),
        any::<bool>().prop_map(Data::Bool),
        prop::num::f64::NORMAL.prop_map(Data::Double),
        ".{0,5}".prop_map(Data::Text),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Data::List),
            prop::collection::btree_map("[a-c]{0,2}", inner, 0..4)
                .prop_map(|entries| Data::Map(entries.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-c]{0,2}", value, 0..4)
        .prop_map(|entries| entries.into_iter().collect())
}

/// The same, as prost has it.
pub(crate) fn structure(entries: &[(String, Data)]) -> Struct {
    Struct { fields: entries.iter().map(|(key, data)| (key.clone(), value(data))).collect() }
}

fn value(data: &Data) -> Value {
    let kind = match data {
        Data::Null => Kind::NullValue(0),
        Data::Bool(value) => Kind::BoolValue(*value),
        Data::Double(value) => Kind::NumberValue(*value),
        Data::Text(text) => Kind::StringValue(text.clone()),
        Data::List(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(value).collect() })
        }
        Data::Map(entries) => Kind::StructValue(structure(entries)),
        other => panic!("no data of JSON: {other:?}"),
    };
    Value { kind: Some(kind) }
}

/// Entries in the order of their keys: prost keeps maps without one.
pub(crate) fn sorted(entries: &[(String, Data)]) -> Vec<(String, Data)> {
    let mut entries: Vec<(String, Data)> =
        entries.iter().map(|(key, value)| (key.clone(), sorted_value(value))).collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    entries
}

fn sorted_value(data: &Data) -> Data {
    match data {
        Data::Map(entries) => Data::Map(sorted(entries)),
        Data::List(items) => Data::List(items.iter().map(sorted_value).collect()),
        other => other.clone(),
    }
}
