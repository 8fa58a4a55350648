//! Names without letter case: one spelling for all that some reader takes for the same name.

use super::RUNS;

/// A name in which every letter has the least of its forms. Two names that are the same in upper
/// case, in lower case or by simple case folding give the same.
pub(crate) fn without_case(name: &str) -> String {
    let mut all = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_ascii() {
            all.push(letter.to_ascii_uppercase());
            continue;
        }
        let least_form = least(letter);
        match SPELT_OUT.binary_search_by_key(&least_form, |(special, _)| *special) {
            Ok(at) => {
                let spelt = SPELT_OUT.get(at).map_or("", |(_, spelt)| spelt);
                all.extend(spelt.chars().map(least));
            }
            Err(_) => all.push(least_form),
        }
    }
    all
}

/// The least form of a letter.
fn least(letter: char) -> char {
    let (mut least, mut form) = (letter, next(letter));
    while form != letter {
        least = least.min(form);
        form = next(form);
    }
    least
}

/// The next form of a letter, which is itself if there is no other.
fn next(letter: char) -> char {
    let code = u32::from(letter);
    let at = RUNS.partition_point(|(_, end, _)| *end < code);
    let other = match RUNS.get(at) {
        Some((start, ..)) if *start > code => code,
        // The run is of pairs.
        Some((start, _, 0)) => start.saturating_add(code.wrapping_sub(*start) ^ 1),
        Some((.., distance)) => code.saturating_add_signed(*distance),
        None => code,
    };
    char::from_u32(other).unwrap_or(letter)
}

/// The least forms of letters that are others in upper case, or several: what the lower case of
/// that is.
#[rustfmt::skip]
const SPELT_OUT: &[(char, &str)] = &[
    ('\u{df}', "ss"), ('\u{130}', "i\u{307}"), ('\u{131}', "i"), ('\u{149}', "\u{2bc}n"),
    ('\u{1f0}', "j\u{30c}"), ('\u{390}', "\u{3b9}\u{308}\u{301}"),
    ('\u{3b0}', "\u{3c5}\u{308}\u{301}"), ('\u{587}', "\u{565}\u{582}"), ('\u{1e96}', "h\u{331}"),
    ('\u{1e97}', "t\u{308}"), ('\u{1e98}', "w\u{30a}"), ('\u{1e99}', "y\u{30a}"),
    ('\u{1e9a}', "a\u{2be}"), ('\u{1f50}', "\u{3c5}\u{313}"),
    ('\u{1f52}', "\u{3c5}\u{313}\u{300}"), ('\u{1f54}', "\u{3c5}\u{313}\u{301}"),
    ('\u{1f56}', "\u{3c5}\u{313}\u{342}"), ('\u{1f80}', "\u{1f00}\u{3b9}"),
    ('\u{1f81}', "\u{1f01}\u{3b9}"), ('\u{1f82}', "\u{1f02}\u{3b9}"),
    ('\u{1f83}', "\u{1f03}\u{3b9}"), ('\u{1f84}', "\u{1f04}\u{3b9}"),
    ('\u{1f85}', "\u{1f05}\u{3b9}"), ('\u{1f86}', "\u{1f06}\u{3b9}"),
    ('\u{1f87}', "\u{1f07}\u{3b9}"), ('\u{1f90}', "\u{1f20}\u{3b9}"),
    ('\u{1f91}', "\u{1f21}\u{3b9}"), ('\u{1f92}', "\u{1f22}\u{3b9}"),
    ('\u{1f93}', "\u{1f23}\u{3b9}"), ('\u{1f94}', "\u{1f24}\u{3b9}"),
    ('\u{1f95}', "\u{1f25}\u{3b9}"), ('\u{1f96}', "\u{1f26}\u{3b9}"),
    ('\u{1f97}', "\u{1f27}\u{3b9}"), ('\u{1fa0}', "\u{1f60}\u{3b9}"),
    ('\u{1fa1}', "\u{1f61}\u{3b9}"), ('\u{1fa2}', "\u{1f62}\u{3b9}"),
    ('\u{1fa3}', "\u{1f63}\u{3b9}"), ('\u{1fa4}', "\u{1f64}\u{3b9}"),
    ('\u{1fa5}', "\u{1f65}\u{3b9}"), ('\u{1fa6}', "\u{1f66}\u{3b9}"),
    ('\u{1fa7}', "\u{1f67}\u{3b9}"), ('\u{1fb2}', "\u{1f70}\u{3b9}"),
    ('\u{1fb3}', "\u{3b1}\u{3b9}"), ('\u{1fb4}', "\u{3ac}\u{3b9}"), ('\u{1fb6}', "\u{3b1}\u{342}"),
    ('\u{1fb7}', "\u{3b1}\u{342}\u{3b9}"), ('\u{1fc2}', "\u{1f74}\u{3b9}"),
    ('\u{1fc3}', "\u{3b7}\u{3b9}"), ('\u{1fc4}', "\u{3ae}\u{3b9}"), ('\u{1fc6}', "\u{3b7}\u{342}"),
    ('\u{1fc7}', "\u{3b7}\u{342}\u{3b9}"), ('\u{1fd2}', "\u{3b9}\u{308}\u{300}"),
    ('\u{1fd6}', "\u{3b9}\u{342}"), ('\u{1fd7}', "\u{3b9}\u{308}\u{342}"),
    ('\u{1fe2}', "\u{3c5}\u{308}\u{300}"), ('\u{1fe4}', "\u{3c1}\u{313}"),
    ('\u{1fe6}', "\u{3c5}\u{342}"), ('\u{1fe7}', "\u{3c5}\u{308}\u{342}"),
    ('\u{1ff2}', "\u{1f7c}\u{3b9}"), ('\u{1ff3}', "\u{3c9}\u{3b9}"),
    ('\u{1ff4}', "\u{3ce}\u{3b9}"), ('\u{1ff6}', "\u{3c9}\u{342}"),
    ('\u{1ff7}', "\u{3c9}\u{342}\u{3b9}"), ('\u{a7ce}', "\u{a7cf}"), ('\u{a7d2}', "\u{a7d3}"),
    ('\u{a7d4}', "\u{a7d5}"), ('\u{fb00}', "ff"), ('\u{fb01}', "fi"), ('\u{fb02}', "fl"),
    ('\u{fb03}', "ffi"), ('\u{fb04}', "ffl"), ('\u{fb05}', "st"), ('\u{fb13}', "\u{574}\u{576}"),
    ('\u{fb14}', "\u{574}\u{565}"), ('\u{fb15}', "\u{574}\u{56b}"), ('\u{fb16}', "\u{57e}\u{576}"),
    ('\u{fb17}', "\u{574}\u{56d}"), ('\u{16ea0}', "\u{16ebb}"), ('\u{16ea1}', "\u{16ebc}"),
    ('\u{16ea2}', "\u{16ebd}"), ('\u{16ea3}', "\u{16ebe}"), ('\u{16ea4}', "\u{16ebf}"),
    ('\u{16ea5}', "\u{16ec0}"), ('\u{16ea6}', "\u{16ec1}"), ('\u{16ea7}', "\u{16ec2}"),
    ('\u{16ea8}', "\u{16ec3}"), ('\u{16ea9}', "\u{16ec4}"), ('\u{16eaa}', "\u{16ec5}"),
    ('\u{16eab}', "\u{16ec6}"), ('\u{16eac}', "\u{16ec7}"), ('\u{16ead}', "\u{16ec8}"),
    ('\u{16eae}', "\u{16ec9}"), ('\u{16eaf}', "\u{16eca}"), ('\u{16eb0}', "\u{16ecb}"),
    ('\u{16eb1}', "\u{16ecc}"), ('\u{16eb2}', "\u{16ecd}"), ('\u{16eb3}', "\u{16ece}"),
    ('\u{16eb4}', "\u{16ecf}"), ('\u{16eb5}', "\u{16ed0}"), ('\u{16eb6}', "\u{16ed1}"),
    ('\u{16eb7}', "\u{16ed2}"), ('\u{16eb8}', "\u{16ed3}"),
];

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_is_the_same_in_upper_case_or_in_lower_case_is_the_same() {
        for letter in '\0'..=char::MAX {
            let name = letter.to_string();
            let (upper, lower) = (name.to_uppercase(), name.to_lowercase());
            let expected = without_case(&name);
            for same in [upper.to_lowercase(), lower.to_uppercase(), upper, lower] {
                assert_eq!(without_case(&same), expected, "{letter:?} {same}");
            }
        }
    }

    #[test]
    fn what_is_the_same_by_simple_case_folding_is_the_same() {
        for letter in '\0'..=char::MAX {
            let code = u32::from(letter);
            let forms = super::super::with_other_cases(&[(code, code)]);
            let least = forms.iter().map(|(first, _)| *first).min();
            assert_eq!(Some(u32::from(super::least(letter))), least, "{letter:?}");
            for form in forms.iter().filter_map(|(first, _)| char::from_u32(*first)) {
                let (one, other) = (letter.to_string(), form.to_string());
                assert_eq!(without_case(&one), without_case(&other), "{letter:?} {form:?}");
            }
        }
    }

    #[test]
    fn names_are_told_apart_by_their_letters_only() {
        for (one, other, same) in [
            ("userId", "USERID", true),
            ("\u{3a3}\u{391}\u{3a3}", "\u{3c3}\u{3b1}\u{3c2}", true),
            ("stra\u{df}e", "STRASSE", true),
            ("stra\u{df}e", "STRA\u{1e9e}E", true),
            ("\u{212a}ey", "key", true),
            ("user-id", "user_id", false),
            ("\u{e4}", "a", false),
        ] {
            assert_eq!(without_case(one) == without_case(other), same, "{one} {other}");
        }
    }
}
