//! Which texts are amounts, and which amounts they are.

use proptest::prelude::*;

use super::*;

const KI: u128 = 1024 * NANOS;

/// The cases of Kubernetes itself that are not refused here, with the amount in billionths:
/// <https://github.com/kubernetes/apimachinery/blob/master/pkg/api/resource/quantity_test.go>.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn parses_amounts_like_kubernetes() {
    let tenth = NANOS / 10;
    let cases = [
        ("0", 0),
        ("0n", 0),
        ("0m", 0),
        ("0Ki", 0),
        ("0T", 0),
        ("1", NANOS),
        ("1Ki", KI),
        ("8Ki", 8 * KI),
        ("7Mi", 7 * 1024 * KI),
        ("6Gi", 6 * 1024 * 1024 * KI),
        ("5Ti", 5 * 1024_u128.pow(3) * KI),
        ("4Pi", 4 * 1024_u128.pow(4) * KI),
        ("3Ei", 3 * 1024_u128.pow(5) * KI),
        ("5n", 5),
        ("4u", 4_000),
        ("3m", 3_000_000),
        ("8k", 8_000 * NANOS),
        ("50k", 50_000 * NANOS),
        ("7M", 7_000_000 * NANOS),
        ("6G", 6 * 10_u128.pow(18)),
        ("300T", 300 * 10_u128.pow(21)),
        ("2P", 2 * 10_u128.pow(24)),
        ("1E", 10_u128.pow(27)),
        ("1E-3", 1_000_000),
        ("1e3", 1_000 * NANOS),
        ("1E18", 10_u128.pow(27)),
        ("100.035k", 100_035 * NANOS),
        ("0.001", 1_000_000),
        ("0.00050k", NANOS / 2),
        ("0.50000", NANOS / 2),
        ("0.5e0", NANOS / 2),
        ("0.5e-2", 5_000_000),
        ("1.3E+6", 1_300_000 * NANOS),
        ("1.53E12", 1_530 * 10_u128.pow(18)),
        ("9.01", 901 * NANOS / 100),
        ("6.987654321G", 6_987_654_321 * NANOS),
        ("1.01E", 101 * 10_u128.pow(25)),
        ("3.001n", 4),
        ("1.1E-9", 2),
        ("0.0000000001", 1),
        ("0.9n", 1),
        ("0.00000012345", 124),
        ("100.035Ki", 10_243_584 * NANOS / 100),
        ("0.5Mi", 512 * KI),
        ("0.05Gi", 536_870_912 * tenth),
        ("0.025Ti", 274_877_906_944 * tenth),
        ("0.000000000001Ki", 2),
        (".001", 1_000_000),
        (".0001k", NANOS / 10),
        ("1.", NANOS),
        ("1.G", 10_u128.pow(18)),
        ("+1", NANOS),
        ("1e-2147483648", 1),
        ("0e2147483647", 0),
        ("9223372036854775807", MAX_NANOS),
        ("000009223372036854775807000000e-6", MAX_NANOS),
        (" 500m ", NANOS / 2),
    ];
    for (text, nanos) in cases {
        assert_eq!(text.parse::<Quantity>().map(|amount| amount.nanos()), Ok(nanos), "{text:?}");
    }
}

#[test]
fn rejects_malformed_amounts() {
    let form = "an amount such as 500m, 1.5 or 2Gi";
    let largest = "at most 9223372036854775807";
    let cases = [
        ("", form.to_owned()),
        ("+", form.to_owned()),
        (".", form.to_owned()),
        ("Gi", form.to_owned()),
        ("1.1.M", form.to_owned()),
        ("1+1.0M", form.to_owned()),
        ("0.1am", form.to_owned()),
        ("aoeu", form.to_owned()),
        (".5i", form.to_owned()),
        ("1i", form.to_owned()),
        ("1e", format!("{form}; did you mean \"1E\"?")),
        ("3.01e-", form.to_owned()),
        ("1e99999999999", form.to_owned()),
        ("1 Gi", form.to_owned()),
        ("½", form.to_owned()),
        ("0.1mi", format!("{form}; did you mean \"0.1Mi\"?")),
        ("512MB", format!("{form}; did you mean \"512M\"?")),
        ("1GiB", format!("{form}; did you mean \"1Gi\"?")),
        ("2gi", format!("{form}; did you mean \"2Gi\"?")),
        ("1K", format!("{form}; did you mean \"1k\"?")),
        ("-3.01i", "an amount that is not negative".to_owned()),
        ("-1", "an amount that is not negative".to_owned()),
        ("1.0000000000000000001", "at most 19 digits that count".to_owned()),
        ("9223372036854775808", largest.to_owned()),
        ("9Ei", largest.to_owned()),
        ("12E", largest.to_owned()),
        ("1e2147483647", largest.to_owned()),
    ];
    for (text, expected) in cases {
        assert_eq!(
            text.parse::<Quantity>().unwrap_err().to_string(),
            format!("entry {text:?}: expected {expected}")
        );
    }
}

#[test]
fn detects_whole_amounts_with_any_suffix() {
    for (text, whole) in [("1", true), ("1000m", true), ("0.5Ki", true), ("500m", false), ("0.05Gi", false)] {
        assert_eq!(text.parse::<Quantity>().unwrap().is_whole(), whole, "{text}");
    }
}

proptest! {
    #[test]
    fn parses_any_text_without_panic(text in ".*|[+-]?[0-9.]{0,40}[eE]?[+-]?[0-9]{0,12}[numkMGTPEi]{0,2}") {
        let _ = text.parse::<Quantity>();
    }

    #[test]
    fn parses_what_it_prints(text in "[0-9]{0,10}[.]?[0-9]{0,5}(n|u|m|k|M|G|Ki|Mi|Gi|e-?[0-9])?") {
        if let Ok(amount) = text.parse::<Quantity>() {
            prop_assert_eq!(amount.to_string().parse::<Quantity>(), Ok(amount));
        }
    }

    #[test]
    fn thousand_thousandths_equal_one(number in 0_u64..1_000_000_000_000) {
        let plain: Quantity = number.to_string().parse().unwrap();
        let thousandths: Quantity = format!("{number}000m").parse().unwrap();
        prop_assert_eq!(plain.nanos(), thousandths.nanos());
        prop_assert_eq!(plain.nanos(), u128::from(number) * NANOS);
    }
}
