//! `egressctl schema`: JSON Schema for editors, made from the table that the reader checks a
//! configuration against.

mod json;
mod resource;
mod text;

use std::io::Write as _;

use clap::ValueEnum;
use egress_filter::config::shape::{Bounds, CONFIGURATION, Condition, Field, Kind, OFF, Text};

use crate::terminal::Terminal;
use crate::{Exit, Failure, manifest};
use json::Json;

/// Prints a JSON Schema (draft 2020-12), for an editor to complete, explain and check what is
/// written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example, with the YAML language server (VS Code, Neovim, Helix and others):

  egressctl schema --for WasmPlugin > wasm-plugin.schema.json

and as the first line of each file with a WasmPlugin, the path seen from that file:

  # yaml-language-server: $schema=wasm-plugin.schema.json

A schema knows fields, words and limits; what an expression says is checked by `egressctl check`.")]
pub(crate) struct Args {
    /// What the schema is of.
    #[arg(long = "for", value_enum, value_name = "KIND", default_value_t = Subject::PluginConfig)]
    subject: Subject,
}

/// What a schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// The filter's configuration alone.
    #[value(name = "pluginConfig")]
    PluginConfig,
    /// A `WasmPlugin` with it.
    #[value(name = "WasmPlugin")]
    WasmPlugin,
    /// A `TrafficExtension` with it (Istio 1.30 and later).
    #[value(name = "TrafficExtension")]
    TrafficExtension,
}

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
const ABOUT: &str = "Egress control by caller identity: which workload may call which host, \
    method and path outside the mesh.";

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let schema = match args.subject {
        Subject::PluginConfig => of_configuration(),
        Subject::WasmPlugin => resource::schema(manifest::Kind::WasmPlugin),
        Subject::TrafficExtension => resource::schema(manifest::Kind::TrafficExtension),
    };
    serde_json::to_writer_pretty(&mut terminal.out, &schema).map_err(std::io::Error::from)?;
    writeln!(terminal.out)?;
    Ok(Exit::Success)
}

/// The schema of `pluginConfig`.
fn of_configuration() -> Json {
    let mut schema = Json::object();
    schema
        .add("$schema", DRAFT)
        .add("title", "pluginConfig of the egress filter")
        .add("description", ABOUT);
    schema.and(configuration())
}

/// What a configuration must be.
fn configuration() -> Json {
    object(CONFIGURATION, &[])
}

fn object(fields: &[Field], conditions: &[Condition]) -> Json {
    let mut properties = Json::object();
    for field in fields {
        let mut property = Json::object();
        property.add("description", field.about);
        properties.add(field.name, property.and(value(&field.kind)));
    }
    let mut schema = Json::object();
    schema.add("type", "object").add("properties", properties);
    schema
        .add_list("required", fields.iter().filter(|field| field.required).map(|field| field.name));
    schema.add("additionalProperties", false);
    match conditions {
        [] => schema,
        [condition] => schema.and(condition_of(*condition)),
        // Two conditions may use the same words of JSON Schema.
        several => {
            let all = several.iter().map(|condition| condition_of(*condition)).collect();
            schema.and_field("allOf", Json::List(all))
        }
    }
}

fn value(kind: &Kind) -> Json {
    match kind {
        Kind::Object(fields, conditions) => object(fields, conditions),
        Kind::List(bounds, entries) => list(*bounds, entries),
        Kind::Words(words) => self::words(&words()),
        Kind::Boolean => Json::object().and_field("type", "boolean"),
        Kind::Integer(least, most) => Json::object()
            .and_field("type", "integer")
            .and_field("minimum", *least)
            .and_field("maximum", *most),
        Kind::Choice(choices) => Json::object()
            .and_field("enum", Json::List(choices.iter().map(|choice| (*choice).into()).collect())),
        Kind::Size(most) => size(*most),
        Kind::Map(bounds, names, values) => map(*bounds, *names, values),
        Kind::Text(text) => text::schema(*text),
    }
}

/// A number of bytes. That one with a unit is not too large is checked by `egressctl check`.
fn size(most: u64) -> Json {
    let number = Json::object()
        .and_field("type", "integer")
        .and_field("minimum", 1_u64)
        .and_field("maximum", most);
    let quantity = Json::object()
        .and_field("type", "string")
        .and_field("pattern", "^0*[1-9][0-9]{0,6}(k|Ki|M|Mi)?$")
        .and_field("patternErrorMessage", "expected a number of bytes, such as `8Ki`");
    Json::object().and_field("anyOf", Json::List(vec![number, quantity]))
}

fn list(bounds: Bounds, entries: &Kind) -> Json {
    let mut schema = Json::object();
    schema.add("type", "array").add("items", value(entries));
    if bounds.if_empty.is_some() {
        schema.add("minItems", 1_usize);
    }
    schema.and_field("maxItems", bounds.limit)
}

fn map(bounds: Bounds, names: Text, values: &Kind) -> Json {
    let mut schema = Json::object();
    schema
        .add("type", "object")
        .add("propertyNames", text::schema(names))
        .add("additionalProperties", value(values));
    if bounds.if_empty.is_some() {
        schema.add("minProperties", 1_usize);
    }
    schema.and_field("maxProperties", bounds.limit)
}

fn words(words: &[(&'static str, &'static str)]) -> Json {
    let mut choices = Vec::with_capacity(words.len());
    for &(word, about) in words {
        choices.push(
            Json::object()
                .and_field("const", word)
                .and_field("title", word)
                .and_field("description", about),
        );
        if word == OFF {
            let about = "`Off` without quotes, as YAML 1.1 and so kubectl reads it.";
            choices.push(
                Json::object()
                    .and_field("const", false)
                    .and_field("title", word)
                    .and_field("description", about),
            );
        }
    }
    Json::object().and_field("oneOf", Json::List(choices))
}

fn condition_of(condition: Condition) -> Json {
    let named = |name: &'static str, schema: Json| {
        Json::object().and_field("properties", Json::object().and_field(name, schema))
    };
    let requires = |name: &'static str| Json::object().and_list("required", [name]);
    match condition {
        Condition::Needs(field, other) => {
            Json::object().and_field("dependentRequired", Json::object().and_list(field, [other]))
        }
        Condition::NeedsUnless(field, other, mode, word) => {
            let is_word = named(mode, Json::object().and_field("const", word));
            let needs = Json::object().and_list(field, [other]);
            Json::object()
                .and_field("if", is_word.and_list("required", [mode]))
                .and_field("else", Json::object().and_field("dependentRequired", needs))
        }
        Condition::Several(object, list, field) => {
            let several = named(list, Json::object().and_field("minItems", 2_usize))
                .and_list("required", [list]);
            Json::object()
                .and_field("if", named(object, several).and_list("required", [object]))
                .and_field("then", requires(field))
        }
        Condition::NotEmptyUnless(object, other) => {
            let full = named(object, Json::object().and_field("minProperties", 1_usize));
            Json::object()
                .and_field("if", Json::object().and_field("not", requires(other)))
                .and_field("then", full)
        }
        Condition::OneOf(names) => {
            let one = names.iter().map(|name| requires(name)).collect();
            Json::object().and_field("oneOf", Json::List(one))
        }
        Condition::AtMostOne(names) => {
            // No two of them.
            let pairs = names.iter().enumerate().flat_map(|(index, name)| {
                let others = names.get(index.saturating_add(1)..).unwrap_or_default();
                others.iter().map(|other| Json::object().and_list("required", [*name, *other]))
            });
            Json::object()
                .and_field("not", Json::object().and_field("anyOf", Json::List(pairs.collect())))
        }
        Condition::AnyOf(names) => {
            let any = names.iter().map(|name| requires(name)).collect();
            Json::object().and_field("anyOf", Json::List(any))
        }
        Condition::Alone(name) => Json::object()
            .and_field("if", requires(name))
            .and_field("then", Json::object().and_field("maxProperties", 1_usize)),
        Condition::Names(field, word, other) => {
            let is_word = named(field, Json::object().and_field("const", word));
            Json::object()
                .and_field("if", is_word.and_list("required", [field]))
                .and_field("then", requires(other))
        }
        Condition::RequiredUnless(name, other) => Json::object()
            .and_field("if", Json::object().and_field("not", requires(other)))
            .and_field("then", requires(name)),
        Condition::UnlessWord(name, other, word) => {
            let is_word = Json::object().and_field("const", word);
            let is_word = Json::object().and_field(other, is_word);
            Json::object()
                .and_field("if", requires(other).and_field("properties", is_word))
                .and_field("then", Json::object().and_field("not", requires(name)))
                .and_field("else", requires(name))
        }
    }
}
