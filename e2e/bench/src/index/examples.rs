//! Expressions over the request, one for each row of `docs/functions.md` whose example is about
//! literals: those are computed when the configuration loads, and cost a request nothing.

/// The headers that these expressions read, beside those of the page's request.
pub(super) const HEADERS: &[(&str, &str)] = &[
    ("X-Until", "2026-12-01T00:00:00Z"),
    ("X-Wait", "1h30m"),
    ("X-Json", r#"{"user": {"id": 7}}"#),
    ("X-Base64", "aGVsbG8="),
    ("X-Form", "a=1&b=2&b=3"),
    ("X-Number", "42"),
    ("X-True", "true"),
];

/// The first signature or spelling of a row, and a rule that is true of the request.
pub(super) const RULES: &[(&str, &str)] = &[
    // Operators.
    ("a == b", r#"request.method == "GET""#),
    ("a < b", "source.port < 50000"),
    ("a && b", r#"request.method == "GET" && !(request.method == "PUT")"#),
    ("a + b", r#""team-" + request.method == "team-GET""#),
    ("a - b", "source.port / 2 * 2 + source.port % 2 == 41000"),
    ("a - b", r#"request.startTime - duration("1h") < request.startTime"#),
    ("[a, b]", r#"{"a": [1, source.port]}.a[1] == 41000"#),
    // Macros.
    ("list.all(x, test)", "['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].all(x, x != request.method)"),
    (
        "list.exists(x, test)",
        "['a', 'b', 'c', 'd', 'e', 'f', 'g', 'GET'].exists(x, x == request.method)",
    ),
    (
        "list.exists_one(x, test)",
        "['a', 'b', 'c', 'd', 'e', 'f', 'g', 'GET'].exists_one(x, x == request.method)",
    ),
    (
        "list.existsOne(x, test)",
        "['a', 'b', 'c', 'd', 'e', 'f', 'g', 'GET'].existsOne(i, x, x == request.method)",
    ),
    (
        "list.map(x, value)",
        "['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(x, x + request.method).size() == 8",
    ),
    (
        "list.filter(x, test)",
        "['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].filter(x, x != request.method).size() == 8",
    ),
    ("value.with(x, result)", r#"request.path.with(p, p.size() > 3 && p != "/")"#),
    ("map.mapValues(v, value)", r#"{"a": request.method}.mapValues(v, v + "x") == {"a": "GETx"}"#),
    (
        "map.filterKeys(k, test)",
        r#"{"a": request.method, "b": "x"}.filterKeys(k, k == "a") == {"a": "GET"}"#,
    ),
    (
        "map.removeKeys(k, test)",
        r#"{"a": request.method, "b": "x"}.removeKeys(k, k == "b") == {"a": "GET"}"#,
    ),
    (
        "list.transformList(x, y, value)",
        r#"["a", request.method].transformList(i, v, string(i) + v) == ["0a", "1GET"]"#,
    ),
    (
        "map.transformMap(x, y, value)",
        r#"{"a": request.method}.transformMap(k, v, k + v) == {"a": "aGET"}"#,
    ),
    (
        "map.transformMapEntry(x, y, map)",
        r#"{"a": request.method}.transformMapEntry(k, v, {v: k}) == {"GET": "a"}"#,
    ),
    (
        "optional.optFlatMap(x, optional)",
        r#"{"a": {"b": request.method}}[?"a"].optFlatMap(m, m[?"b"]).value() == "GET""#,
    ),
    ("math.greatest(a, b, ...)", "math.greatest(1, source.port, 2) == 41000"),
    ("math.least(a, b, ...)", "math.least([50000, source.port, 60000]) == 41000"),
    // Text.
    ("string.indexOf(string)", r#"request.path.indexOf("os") == 4"#),
    ("string.lastIndexOf(string)", r#"request.path.lastIndexOf("/") == 6"#),
    ("string.charAt(int)", r#"request.path.charAt(1) == "r""#),
    ("string.substring(int)", r#"request.path.substring(1, 6) == "repos""#),
    ("string.replace(string, string)", r#"request.path.replace("/", "-") == "-repos-a%20b""#),
    ("string.split(string)", r#"request.path.split("/").size() == 3"#),
    ("list(string).join()", r#"["a", request.method].join("-") == "a-GET""#),
    ("string.lowerAscii()", r#"request.method.lowerAscii() == "get""#),
    ("string.upperAscii()", r#"request.headers["x-team"].upperAscii() == "BLUE""#),
    ("string.trim()", r#"request.method.trim() == "GET""#),
    ("string.reverse()", r#"request.method.reverse() == "TEG""#),
    ("strings.quote(string)", r#"strings.quote(request.method) == "\"GET\"""#),
    // Patterns.
    (
        "string.regexReplace(string, string)",
        r#"request.path.regexReplace("/repos/([a-z]+)", "/$1") == "/a%20b""#,
    ),
    // Headers. Envoy joins the lines of `accept`.
    ("headers.raw()", r#"request.headers.raw()["accept"].size() == 1"#),
    // Addresses.
    ("isIP(string)", "isIP(source.address)"),
    ("ip.isCanonical(string)", "ip.isCanonical(source.address)"),
    ("ip.family()", "ip(source.address).family() == 4"),
    ("ip.isUnspecified()", "!ip(source.address).isUnspecified()"),
    ("ip.isLoopback()", "!ip(source.address).isLoopback()"),
    ("ip.isLinkLocalMulticast()", "!ip(source.address).isLinkLocalMulticast()"),
    ("ip.isLinkLocalUnicast()", "!ip(source.address).isLinkLocalUnicast()"),
    ("ip.isGlobalUnicast()", "ip(source.address).isGlobalUnicast()"),
    ("cidr(string)", r#"cidr(source.address + "/8") == cidr("10.0.0.7/8")"#),
    ("isCIDR(string)", "!isCIDR(source.address)"),
    ("cidr.containsCIDR(cidr)", r#"cidr("10.0.0.0/8").containsCIDR(source.address + "/32")"#),
    ("cidr.ip()", r#"cidr(source.address + "/8").ip() == ip("10.0.0.7")"#),
    ("cidr.masked()", r#"string(cidr(source.address + "/8").masked()) == "10.0.0.0/8""#),
    ("cidr.prefixLength()", r#"cidr(source.address + "/8").prefixLength() == 8"#),
    // Times.
    ("timestamp(string)", r#"timestamp(request.headers["x-until"]) > request.startTime"#),
    ("timestamp(int)", "timestamp(source.port) < request.startTime"),
    ("duration(string)", r#"duration(request.headers["x-wait"]) > duration("1s")"#),
    ("duration(duration)", r#"duration(request.startTime - timestamp(0)) > duration("1s")"#),
    (
        "duration.getHours()",
        r#"(request.startTime - timestamp("2026-11-28T08:00:00Z")).getHours() == 1"#,
    ),
    (
        "duration.getMinutes()",
        r#"(request.startTime - timestamp("2026-11-28T08:00:00Z")).getMinutes() == 90"#,
    ),
    (
        "duration.getMilliseconds()",
        r#"(request.startTime - timestamp("2026-11-28T08:00:00Z")).getMilliseconds() == 250"#,
    ),
    (
        "string(duration)",
        r#"string(request.startTime - timestamp("2026-11-28T09:30:00Z")) == "0.25s""#,
    ),
    // JSON, encodings and digests.
    ("json(string)", r#"json(request.headers["x-json"]).user.id == 7"#),
    ("toJson(dyn)", r#"toJson({"a": request.method}) == '{"a":"GET"}'"#),
    ("base64.encode(bytes)", r#"base64.encode(request.method) == "R0VU""#),
    ("base64.decode(string)", r#"string(base64.decode(request.headers["x-base64"])) == "hello""#),
    ("url.encode(string)", r#"url.encode(request.path) == "%2Frepos%2Fa%2520b""#),
    ("form.encode(map(dyn, dyn))", r#"form.encode({"a": request.method}) == "a=GET""#),
    ("form.decode(string)", r#"form.decode(request.headers["x-form"]).a == "1""#),
    ("sha256.encode(string)", "sha256.encode(request.method).size() == 64"),
    ("sha1.encode(string)", "sha1.encode(request.method).size() == 40"),
    ("md5.encode(string)", "md5.encode(request.method).size() == 32"),
    // Values of all kinds.
    ("size(string)", "size(request.method) == 3"),
    ("string.size()", "request.method.size() == 3"),
    ("map(dyn, dyn).merge(map(dyn, dyn))", r#"{"a": "b"}.merge({"b": request.method}).b == "GET""#),
    ("uuid()", "uuid() != request.method"),
    ("fail(string)", r#"default(fail("no") == request.method, true)"#),
    ("bool(bool)", r#"bool(request.headers["x-true"])"#),
    ("int(int)", r#"int(request.headers["x-number"]) == 42"#),
    ("uint(uint)", r#"uint(request.headers["x-number"]) == 42u"#),
    ("double(double)", r#"double(request.headers["x-number"]) == 42.0"#),
    ("bytes(string)", r#"bytes(request.method) == b"GET""#),
    ("dyn(dyn)", "dyn(source.port) == 41000"),
    // Optionals.
    ("optional.of(dyn)", "optional.of(request.method).hasValue()"),
    ("optional.none()", "optional.none().or(optional.of(request.method)).hasValue()"),
    ("optional.ofNonZeroValue(dyn)", "optional.ofNonZeroValue(request.method).hasValue()"),
    (
        "optional(dyn).or(optional(dyn))",
        r#"request.headers[?"x-none"].or(request.headers[?"x-team"]).value() == "blue""#,
    ),
    // Numbers.
    ("math.abs(double)", "math.abs(source.port) == 41000"),
    ("math.sign(double)", "math.sign(source.port) == 1"),
    ("math.sqrt(double)", "math.sqrt(source.port) > 202.0"),
    ("math.ceil(double)", "math.ceil(double(source.port) / 3.0) == 13667.0"),
    ("math.floor(double)", "math.floor(double(source.port) / 3.0) == 13666.0"),
    ("math.round(double)", "math.round(double(source.port) / 3.0) == 13667.0"),
    ("math.trunc(double)", "math.trunc(double(source.port) / 3.0) == 13666.0"),
    ("math.isInf(double)", "!math.isInf(double(source.port))"),
    ("math.isNaN(double)", "!math.isNaN(double(source.port))"),
    ("math.isFinite(double)", "math.isFinite(double(source.port))"),
    ("math.bitAnd(int, int)", "math.bitAnd(source.port, 8) == 8"),
    ("math.bitOr(int, int)", "math.bitOr(source.port, 1) == 41001"),
    ("math.bitXor(int, int)", "math.bitXor(source.port, 1) == 41001"),
    ("math.bitNot(int)", "math.bitNot(source.port) == -41001"),
    ("math.bitShiftLeft(int, int)", "math.bitShiftLeft(source.port, 1) == 82000"),
    ("math.bitShiftRight(int, int)", "math.bitShiftRight(source.port, 1) == 20500"),
];
