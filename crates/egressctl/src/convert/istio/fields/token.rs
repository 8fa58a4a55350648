//! What Istio's values mean of a token: a request's principal, and claims. Istio's
//! RequestAuthentication verifies the token, and this filter reads its claims as `jwt`.

use crate::convert::policy::literal;

use super::super::condition::Term;
use super::values::Pattern;

/// Words that are no names of fields in CEL.
const RESERVED: &str = "true false null in as break const continue else for function if import let \
    loop namespace package return var void while";

/// The claims that a key such as `request.auth.claims[realm_access][roles]` leads through. As in
/// Istio, brackets that are not in pairs are part of one name.
pub(super) fn path(key: &str) -> Option<Vec<String>> {
    let inner = key.strip_prefix("request.auth.claims")?.strip_prefix('[')?.strip_suffix(']')?;
    let parts: Vec<&str> = inner.split("][").collect();
    let is_nested = parts.iter().all(|part| !part.contains(['[', ']']));
    let parts = if is_nested { parts } else { vec![inner] };
    let is_named = parts.iter().all(|part| !part.is_empty());
    is_named.then(|| parts.into_iter().map(str::to_owned).collect())
}

/// A value of `requestPrincipals`: issuer and subject, with the last `/` between them. `of` makes
/// an attribute something that is always there, where that is needed.
pub(super) fn principal(value: &str, of: impl Fn(&str) -> String) -> Result<Term, String> {
    let (issuer, subject) = match value.rsplit_once('/') {
        Some((_, "")) | Some(("", _)) => return Err(no_principal(value)),
        Some((issuer, subject)) if value.starts_with('*') => {
            // A star at the end is the character itself then.
            (Pattern::of_start(issuer), Pattern::Is(subject))
        }
        Some((issuer, subject)) => (Pattern::Is(issuer), Pattern::of_end(subject)),
        // With one `*`, the whole is about the issuer or the subject alone.
        None => match Pattern::of(value) {
            Pattern::Is(_) => return Err(no_principal(value)),
            suffix @ Pattern::EndsWith(_) => (Pattern::Any, suffix),
            prefix => (prefix, Pattern::Any),
        },
    };
    let test = |pattern: Pattern<'_>, claim: &str| {
        let claim = of(claim);
        // Istio asks for some character, which an empty text has not.
        let any = Term::Holds(format!("{claim}.matches(\"^.+$\")"));
        Box::new(pattern.test(&claim, any))
    };
    Ok(Term::Both(test(issuer, "jwt.iss"), test(subject, "jwt.sub")))
}

fn no_principal(value: &str) -> String {
    format!(
        "`{}` is no request principal: expected ISSUER/SUBJECT, as no token has an issuer or a \
         subject that is empty",
        value.escape_debug()
    )
}

/// A value of a claim, which is a text or a list with that text in it.
pub(super) fn claim(path: &[String], value: &str, of: impl Fn(&str) -> String) -> Term {
    let claim = path.iter().fold("jwt".to_owned(), |claim, name| match is_field(name) {
        true => format!("{claim}.{name}"),
        false => format!("{claim}[{}]", literal(name)),
    });
    let any = Term::Holds("one.matches(\"^.+$\")".to_owned());
    let test = match Pattern::of(value).test("one", any) {
        Term::Is(_, value) => format!("one == {value}"),
        Term::Holds(test) => test,
        Term::Always | Term::Both(..) => "true".to_owned(),
    };
    // What is no text matches nothing in Istio, and cannot be compared with one here.
    Term::Holds(format!(
        "cel.bind(claim, {}, (type(claim) == list ? claim : [claim]).exists(one, \
         type(one) == string && {test}))",
        of(&claim)
    ))
}

fn is_field(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(is_word)
        && !RESERVED.split(' ').any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_through_claims_as_in_istio() {
        for (key, expected) in [
            ("request.auth.claims[iss]", Some(&["iss"][..])),
            ("request.auth.claims[realm_access][roles]", Some(&["realm_access", "roles"])),
            ("request.auth.claims[https://a.example/b]", Some(&["https://a.example/b"])),
            ("request.auth.claims[a[b]]", Some(&["a[b]"])),
            ("request.auth.claims[a]b]", Some(&["a]b"])),
            ("request.auth.claims[]", None),
            ("request.auth.claims[a][]", None),
            ("request.auth.claims", None),
            ("request.auth.claims.a", None),
        ] {
            let expected = expected.map(|parts| parts.iter().map(ToString::to_string).collect());
            assert_eq!(path(key), expected, "{key}");
        }
    }

    #[test]
    fn names_that_are_no_fields_stand_in_brackets() {
        let of = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(ToString::to_string).collect();
            match claim(&path, "a", str::to_owned) {
                Term::Holds(test) => test,
                other => panic!("{other:?}"),
            }
        };
        assert!(of(&["a", "b_1"]).starts_with("cel.bind(claim, jwt.a.b_1, "));
        assert!(of(&["in", "x-y"]).starts_with(r#"cel.bind(claim, jwt["in"]["x-y"], "#));
        assert!(of(&["q\""]).starts_with(r#"cel.bind(claim, jwt["q\""], "#));
    }
}
