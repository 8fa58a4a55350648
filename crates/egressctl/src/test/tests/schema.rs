//! The schema of files of cases has the fields and words of their reader.

use super::*;

/// What the schema allows of fields and words is what is read.
#[test]
fn the_schema_is_that_of_what_is_read() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    let sorted = |names: &mut dyn Iterator<Item = String>| {
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    };
    let of_case = case::CASE.into_iter().chain(draft::FIELDS);
    for (place, names) in [
        ("/properties", read::SUITE.to_vec()),
        (
            "/properties/defaults/properties",
            draft::FIELDS.into_iter().chain(["trustDomain"]).collect(),
        ),
        ("/$defs/case/properties", of_case.collect()),
        ("/$defs/case/properties/for/properties", draft::VARIED.to_vec()),
        ("/$defs/step/properties", case::STEP.into_iter().chain(draft::FIELDS).collect()),
        ("/$defs/step/properties/update/properties", case::UPDATE.to_vec()),
        ("/$defs/answer/properties", service::ANSWER.to_vec()),
        ("/$defs/caller/anyOf/1/properties", draft::CERTIFICATE.to_vec()),
        ("/$defs/expect/anyOf/1/properties", expect::EXPECT.to_vec()),
        ("/$defs/request/anyOf/1/properties", draft::REQUEST.to_vec()),
        ("/$defs/origin/properties", draft::ORIGIN.to_vec()),
    ] {
        let object = schema
            .pointer(place)
            .and_then(serde_json::Value::as_object)
            .unwrap_or_else(|| panic!("{place}"));
        assert_eq!(
            sorted(&mut object.keys().cloned()),
            sorted(&mut names.into_iter().map(str::to_owned)),
            "{place}"
        );
    }
    for (place, words) in [
        ("/$defs/layer/enum", Layer::ALL.map(Layer::as_str).to_vec()),
        ("/$defs/answer/properties/fault/enum", service::FAULTS.to_vec()),
        ("/$defs/expect/anyOf/0/enum", expect::VERDICTS.to_vec()),
        ("/$defs/expect/anyOf/1/properties/verdict/enum", expect::VERDICTS.to_vec()),
        (
            "/$defs/expect/anyOf/1/properties/reason/enum",
            egress_filter::decision::Reason::ALL.map(|reason| reason.as_str()).to_vec(),
        ),
        ("/$defs/request/anyOf/1/properties/version/enum", draft::VERSIONS.to_vec()),
    ] {
        assert_eq!(schema.pointer(place), Some(&serde_json::json!(words)), "{place}");
    }
}
