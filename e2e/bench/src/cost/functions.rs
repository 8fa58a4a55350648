//! Each function over the largest text that a request may have, and expressions that go through all
//! headers.

use serde_json::{Value, json};

use super::{Pair, denying, looped};

/// Conditions over a large text, which stands for `{x}`.
pub(super) const OVER_A_TEXT: &[&str] = &[
    "{x}.replace('a', '') == 'b'",
    "{x}.replace('a', 'b', 9) == 'b'",
    "sha256.encode({x}) == ''",
    "sha1.encode({x}) == ''",
    "md5.encode({x}) == ''",
    "{x}.indexOf('b') > 0",
    "{x}.lastIndexOf('b') > 0",
    "{x}.contains('aab')",
    "{x}.startsWith('aab')",
    "{x}.endsWith('baa')",
    "{x}.charAt(57000) == 'b'",
    "{x}.reverse() == ''",
    "{x}.size() == 7",
    "{x}.lowerAscii() == ''",
    "{x}.upperAscii() == ''",
    "{x}.trim() == ''",
    "{x}.substring(50000) == ''",
    "{x}.split('a', 60).size() == 7",
    "{x}.stripPrefix('aa') == ''",
    "{x} == request.path",
    "{x} < request.path",
    "{x} in [request.path, 'a']",
    "{x} + 'b' == ''",
    "strings.quote({x}.substring(30000)) == ''",
    "'%s'.format([{x}]) == ''",
    "base64.encode({x}.substring(30000)) == ''",
    "base64.decode({x}) == b''",
    "url.encode({x}.substring(40000)) == ''",
    "url.decode({x}) == ''",
    "form.decode({x}).size() == 7",
    "form.encode({'a': {x}}) == ''",
    "{x}.query('q').size() == 7",
    "('/?' + {x}).setQuery('q', 'a') == ''",
    "('/?' + {x}).addQuery('q', 'a') == ''",
    "json({x}) == 7",
    "json('[1,1,1,1,1,1,1,1,1,1,1,1]') == [{x}]",
    "toJson({x}) == ''",
    "unvalidatedJwtPayload({x}).a == 7",
    "int({x}) == 7",
    "double({x}) == 7.0",
    "string(bytes({x})) == ''",
    "isIP({x})",
    "request.headers.cookie('a') == {x}",
    "request.headers.join()['x'] == 'b'",
    "request.headers.raw()['x'] == ['b']",
    "request.headers.split()['x'].size() == 70",
    "toJson(request.headers).size() == 7",
    "request.headers.merge({'a': {x}}).size() == 7",
    "request.headers[?'x'].orValue('') == 'b'",
    "cel.bind(y, {x}, y == 'b' || y == 'c' || y + 'a' == 'b')",
    "[{x}, {x}, {x}] == [request.path]",
    "{x}.matches('^[a-z]+$') == false",
    "{x}.regexReplace('(a)(a)(a)b', '$1') == ''",
];

/// Expressions that go through all headers: their names, lines, cookies and readings.
pub(super) fn of_headers(lines: usize, large: usize) -> Vec<Pair> {
    let small = |name: &str, expression: &str| looped(name, expression, "v".to_owned());
    let mut pairs = vec![
        small(
            "two loops over headers",
            "request.headers.exists(a, request.headers.exists(b, request.headers[a] == 'w' && \
             request.headers[b] == 'w'))",
        ),
        small(
            "two loops that make maps",
            "request.headers.map(a, request.headers.map(b, {'k': a, 'l': [a, b]})).size() == 7",
        ),
        small(
            "two loops that make texts",
            "request.headers.map(a, request.headers.map(b, a + b + a + b)).size() == 7",
        ),
        small("chains of loops", "request.headers.map(h, h + 'a').map(h, h + 'a').size() == 7"),
        small("many look-ups", &vec!["request.headers['nope'] == ''"; 120].join(" && ")),
        small(
            "many look-ups that are there",
            &vec!["request.headers['h-89'] == 'w'"; 120].join(" || "),
        ),
        small("transformMap", "request.headers.transformMap(k, v, k + v).size() == 7"),
        small(
            "two loops over entries",
            "request.headers.exists(k, v, request.headers.exists(l, w, k + v == l + w + 'b'))",
        ),
    ];
    // Every line of repeated headers, and every part of a joined one, with 64 expressions.
    let mut repeated = small("many ways to choose lines, 64 expressions", "false");
    let expression = format!(
        "request.headers['a'] == 'x' && request.headers['b'] == 'x' && {} == 'y'",
        ["request.headers['x']"; 8].join(" + ")
    );
    repeated.configuration = denying(&vec![expression.as_str(); 64]);
    repeated.headers = ["a", "b"]
        .iter()
        .flat_map(|name| (0..8).map(|n| ((*name).to_owned(), format!("x{n}"))))
        .collect();
    repeated.headers.push(("x".to_owned(), "v".repeat(900)));
    pairs.push(repeated);
    let mut joined = small(
        "a joined line of many parts",
        "request.headers['accept'] == 'b' || request.headers['user-agent'] == 'b'",
    );
    joined.headers = vec![("accept".to_owned(), "a,".repeat(large / 2))];
    pairs.push(joined);
    let mut cookies = small(
        "cookies in eight readings",
        &vec!["default(request.headers.cookie('a'), '') == 'b'"; 80].join(" || "),
    );
    cookies.headers = vec![("cookie".to_owned(), "b=\"%61,\";".repeat(large / 9))];
    pairs.push(cookies.clone());
    let mut many = cookies.clone();
    many.name = "cookies, 64 expressions".to_owned();
    many.configuration = denying(&["default(request.headers.cookie('a'), '') == 'b'"; 64]);
    many.headers = vec![("cookie".to_owned(), "b=\"%61,j:+ x\";".repeat(large / 15))];
    pairs.push(many);
    let mut escaped = small("whole request: 4,000 rules over a path of escapes", "false");
    let policy = |index: usize| {
        let rule = json!({
            "action": "Deny",
            "policy": {
                "matchExpressions": [
                    format!("request.path == '/x{index}' || request.path.endsWith(':x')"),
                ],
            },
        });
        json!({"name": format!("p{index}"), "traffic": {"authorization": rule}})
    };
    escaped.configuration = json!({"policies": (0..4_000).map(policy).collect::<Vec<_>>()});
    escaped.path = format!("/{}", "%3A".repeat(large / 3));
    escaped.headers.clear();
    pairs.push(escaped);
    let mut query = small(
        "a query of many pairs",
        &vec!["default(request.pathAndQuery.query('q'), []) == ['b']"; 70].join(" || "),
    );
    query.path = format!("/?{}", "%61&".repeat(large / 4));
    query.headers.clear();
    pairs.push(query);
    pairs.extend(of_names(lines, large));
    pairs.extend(of_many_policies(lines, large));
    pairs
}

/// Names of one length that differ just before their end, so that comparing two of them reads all
/// of both.
fn of_names(lines: usize, large: usize) -> Vec<Pair> {
    let length = large / lines;
    let name = |index: usize| format!("x-{}{index:02}z", "a".repeat(length.saturating_sub(12)));
    let headers: Vec<(String, String)> =
        (0..lines).map(|index| (name(index), "v".to_owned())).collect();
    let expressions = [
        "request.headers.exists(k, k == 'x-evil')",
        "request.headers.exists(k, v, v == 'evil')",
        "request.headers.exists(h, request.headers[h] == 'evil')",
        "request.headers.exists(a, request.headers.exists(b, request.headers[a] == 'w' && \
         request.headers[b] == 'w'))",
        "'x-nope' in request.headers || request.headers.exists(k, k in request.headers && k == \
         'w')",
    ];
    let mut pairs = Vec::new();
    for expression in expressions {
        let mut one = looped(
            &format!("names that are nearly the same: {expression}"),
            expression,
            String::new(),
        );
        one.headers.clone_from(&headers);
        pairs.push(one);
        let mut many = looped(&format!("64 times: {expression}"), expression, String::new());
        many.configuration = denying(&[expression; 64]);
        many.headers.clone_from(&headers);
        pairs.push(many);
        let policy = |index: usize| {
            json!({
                "name": format!("p{index}"),
                "traffic": {
                    "authorization": {
                        "action": "Deny",
                        "policy": {"matchExpressions": [expression]},
                    },
                },
            })
        };
        let mut whole = looped(
            &format!("whole request: 200 rules, names nearly the same: {expression}"),
            expression,
            String::new(),
        );
        whole.configuration = json!({"policies": (0..200).map(policy).collect::<Vec<_>>()});
        whole.headers.clone_from(&headers);
        pairs.push(whole);
    }
    let list = format!("[{}1]", "1,".repeat(900));
    let map = format!(
        "{{{}\"z\":1}}",
        (0..900).map(|index| format!("\"{index}\":1,")).collect::<String>()
    );
    pairs.push(looped(
        "elements in two loops",
        "cel.bind(y, json(request.headers['x']), request.headers.exists(g, \
         request.headers.exists(h, h in y)))",
        list,
    ));
    // Each value is little to read and much to make.
    let objects = format!("[{}1]", "{\"a\":1},".repeat(1_300));
    let fields = format!(
        "{{{}\"z\":1}}",
        (0..4_000).map(|index| format!("\"{index}\":1,")).collect::<String>()
    );
    let lists = format!("[{}1]", "[1],".repeat(2_000));
    for (name, document) in [("objects", objects), ("fields", fields), ("lists", lists)] {
        let rule = vec!["json(request.headers['x']) == 7"; 60].join(" || ");
        pairs.push(looped(
            &format!("a document of many {name}, 60 times"),
            &rule,
            document.clone(),
        ));
        let rule = vec!["toJson(json(request.headers['x'])) == ''"; 60].join(" || ");
        pairs.push(looped(&format!("many {name} read and written"), &rule, document));
    }
    let compared =
        format!("cel.bind(y, json(request.headers['x']), {})", vec!["y != y"; 300].join(" || "));
    pairs.push(looped("a map compared 300 times", &compared, map));
    pairs
}

/// Many policies that all look at a large request: what the whole request may cost.
fn of_many_policies(lines: usize, large: usize) -> Vec<Pair> {
    let policies = |count: usize, traffic: Value| {
        let policy = |index| json!({"name": format!("p{index}"), "traffic": traffic});
        json!({"policies": (0..count).map(policy).collect::<Vec<_>>()})
    };
    let rule = |expression: &str| {
        json!({
            "authorization": {"action": "Deny", "policy": {"matchExpressions": [expression]}},
        })
    };
    let mut headers = vec![("x".to_owned(), "a".repeat(large))];
    headers.extend((0..lines).map(|index| (format!("h-{index}"), "v".to_owned())));
    let pair = |name: &str, configuration: Value| Pair {
        name: format!("whole request: {name}"),
        configuration,
        path: "/".to_owned(),
        headers: headers.clone(),
    };
    vec![
        pair(
            "4,000 rules that search a text",
            policies(4_000, rule("request.headers['x'].contains('aab')")),
        ),
        pair(
            "4,000 rules that go through headers",
            policies(4_000, rule("request.headers.exists(h, h == 'x-nope')")),
        ),
        pair(
            "4,000 rules that match a pattern",
            policies(4_000, rule("request.headers['x'].matches('(a|aa)*b')")),
        ),
        pair(
            "4,000 policies that change headers",
            policies(
                4_000,
                json!({"transformation": {"request": {
                "set": [{
                    "name": "x-a",
                    "value": "request.headers['x'] + 'b'",
                }], "remove": ["h-1", "h-2", "h-3", "nope"]}}}),
            ),
        ),
        pair(
            "2,000 policies that add large headers",
            policies(
                2_000,
                json!({
                    "transformation": {
                        "request": {"add": [{"name": "x-a", "value": "request.headers['x']"}]},
                    },
                }),
            ),
        ),
    ]
}
