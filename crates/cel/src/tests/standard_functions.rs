//! What the `cel` crate brings does what cel-go's documentation says of it.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::rule;

#[test]
fn strings_are_those_of_cel_gos_extension() {
    for source in [
        "'hello'.charAt(4) == 'o' && 'hello'.charAt(5) == '' && '\u{e9}a'.charAt(1) == 'a'",
        "'hello mellow'.indexOf('') == 0 && 'hello mellow'.indexOf('ello') == 1 && 'hello mellow'.indexOf('jello') == -1",
        "'hello mellow'.indexOf('', 2) == 2 && 'hello mellow'.indexOf('ello', 2) == 7",
        "'hello mellow'.lastIndexOf('') == 12 && 'hello mellow'.lastIndexOf('ello') == 7 && 'hello mellow'.lastIndexOf('ello', 6) == 1",
        "'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco' && 'ta\u{a9}o\u{a9}\u{3b1}T'.substring(2, 6) == '\u{a9}o\u{a9}\u{3b1}' && 'a'.substring(1) == ''",
        "'TacoC\u{c6}t Xii'.lowerAscii() == 'tacoc\u{c6}t xii' && 'TacoC\u{c6}t Xii'.upperAscii() == 'TACOC\u{c6}T XII'",
        "'  \\ttrim\\n    '.trim() == 'trim' && 'gums'.reverse() == 'smug' && 'John Smith'.reverse() == 'htimS nhoJ'",
        r#"strings.quote('single-quote with "double quote"') == '"single-quote with \\"double quote\\""'"#,
        "'%d%% of %s: %.2f, %x %X %o %b %e'.format([5, 'a', 1.0, 26, 26u, 8, 5, 1234.5]) == '5% of a: 1.00, 1a 1A 10 101 1.234500e+03'",
        "'%s %s %s'.format([[1, 'a'], {'b': 2}, null]) == '[1, a] {b: 2} null'",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    for source in [
        "'hello'.charAt(6) == ''",
        "'hello'.charAt(-1) == ''",
        "'hello'.substring(6) == ''",
        "'hello'.substring(3, 2) == ''",
        "'hello'.substring(0, 6) == ''",
        "'hello'.indexOf('a', 20) == -1",
        "'hello'.lastIndexOf('a', -1) == -1",
        "'%d'.format(['a']) == ''",
        "'%s %s'.format(['a']) == ''",
        "'%z'.format(['a']) == ''",
    ] {
        assert!(rule(source).is_err(), "{source}");
    }
}

#[test]
fn numbers_are_those_of_cel_gos_extension() {
    for source in [
        "math.greatest(1) == 1 && math.greatest(1, 2u, 3.5) == 3.5 && math.greatest([1, 5, 2]) == 5 && math.least(-42.0, -21.5) == -42.0",
        "math.ceil(1.2) == 2.0 && math.ceil(-1.2) == -1.0 && math.floor(1.2) == 1.0 && math.round(1.5) == 2.0 && math.round(-1.5) == -2.0",
        "math.trunc(-1.3) == -1.0 && math.isNaN(math.round(0.0 / 0.0)) && math.isInf(1.0 / 0.0) && !math.isFinite(0.0 / 0.0)",
        "math.abs(-1) == 1 && math.abs(-0.5) == 0.5 && math.abs(1u) == 1u && math.sign(-42) == -1 && math.sign(0.0) == 0.0",
        "math.bitAnd(3u, 2u) == 2u && math.bitAnd(-3, -5) == -7 && math.bitOr(-2, -4) == -2 && math.bitXor(1, 3) == 2 && math.bitNot(0u) == 18446744073709551615u",
        "math.bitShiftLeft(1, 2) == 4 && math.bitShiftLeft(-1, 2) == -4 && math.bitShiftLeft(1u, 200) == 0u && math.bitShiftRight(1024u, 64) == 0u",
        "math.bitShiftRight(-1024, 3) == 2305843009213693824 && math.sqrt(81) == 9.0 && math.isNaN(math.sqrt(-15.34))",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    for source in [
        "math.abs(-9223372036854775808) == 1",
        "math.bitShiftLeft(1, -1) == 1",
        "math.bitShiftRight(1, -1) == 1",
        "math.greatest(dyn([])) == 1",
    ] {
        assert!(rule(source).is_err(), "{source}");
    }
}

#[test]
fn conversions_are_those_of_cels_definition() {
    for source in [
        "int('-7') == -7 && int(2.9) == 2 && int(-2.9) == -2 && int(7u) == 7 && uint('7') == 7u && uint(7.9) == 7u && double('1e3') == 1000.0",
        "string(1) == '1' && string(-1.5) == '-1.5' && string(7u) == '7' && string(true) == 'true' && string(b'hi') == 'hi' && bytes('\u{e9}') == b'\\303\\251'",
        "bool('true') && bool('1') && bool('TRUE') && !bool('false') && !bool('f') && bool(true)",
        "1 == 1.0 && 1u == 1 && 1 < 1.5 && dyn([1]) == [1.0] && dyn({'a': 1}) == {'a': 1u} && dyn(1) != dyn('1')",
        "size('\u{e9}') == 1 && size(b'\\303\\251') == 2 && 'a' < 'b' && b'a' < b'b' && false < true",
        "1 in [1.0] && 'a' in {'a': 1} && !('b' in {'a': 1}) && {1u: 'a'}[1] == 'a' && [1, 2][dyn(1.0)] == 2",
        "type(1) == int && type(type(1)) == type && type([]) == list && type({}) == map && type(null) == null_type && type(b'') == bytes",
        "[1, 2, 3].exists_one(x, x == 2) && [1, 2].all(x, x > 0) && ![].exists(x, true) && {'a': 1}.all(k, k == 'a') && [1, 2].map(x, x > 1, x * 2) == [4]",
        "'\\u00e9\\x41\\101' == '\u{e9}AA' && r'\\d' == '\\\\d' && '''a'b''' == \"a'b\" && b'\\xff' != b'\\xfe'",
        "1 + 2 * 3 - 8 / 4 % 3 == 5 && -7 / 2 == -3 && -7 % 2 == -1 && 'a' + 'b' == 'ab' && [1] + [2] == [1, 2] && b'a' + b'b' == b'ab'",
        "optional.of(1).or(optional.of(2)).value() == 1 && optional.none().orValue(3) == 3 && !optional.ofNonZeroValue('').hasValue() && {?'a': optional.none()} == {}",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    for source in [
        "int('1.5') == 1",
        "int('') == 1",
        "int(1e19) == 1",
        "int(18446744073709551615u) == 1",
        "int(0.0 / 0.0) == 0",
        "uint(-1) == 1u",
        "uint(-0.9) == 0u && uint(-1.0) == 0u",
        "double('x') == 1.0",
        "bool('yes')",
        "string(b'\\xff') == ''",
        "9223372036854775807 + 1 == 0",
        "-9223372036854775808 - 1 == 0",
        "9223372036854775807 * 2 == 0",
        "-(-9223372036854775808) == 0",
        "-9223372036854775808 / -1 == 0",
        "0u - 1u == 0u",
        "1 % 0 == 0",
        "[1][1] == 1",
        "[1][-1] == 1",
        "{'a': 1}.b == 1",
        "{'a': 1, 'a': 2}.a == 1",
        "optional.none().value() == 1",
        "[1, 2].exists_one(x, x / 0 == 1)",
    ] {
        assert!(rule(source).is_err(), "{source}: {:?}", rule(source));
    }
}
