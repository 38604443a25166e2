//! That the checker finds what it is there to find, and says where.

use conformance::{Evidence, Layer, Lists, Run, document};

const HEADING: &str = "id\tsection\trole\tlayer\tchecks\treason\tsummary\ttest_hint\n";
const LIST: &str = "\
A-1\t1\tboth\tcodec\tdecode,encode\t-\tBoth ways.\t-
A-2\t1\tboth\tcodec\tdecode\tbinds the reader\tOne way.\t-
A-3\t1\tboth\tcodec\tnone\tthere is nothing\tNeither.\t-
A-4\t1\tboth\tsession\t-\t-\tOf another layer.\t-
";
const LAYERS: &str = "layer\tstatus\ncodec\tfinished\nsession\topen\n";

fn lists() -> Lists {
    Lists::parse(&[("v5", &format!("{HEADING}{LIST}"))], LAYERS).unwrap()
}

fn run() -> Run {
    Run::over(lists(), "p", &[Layer::Codec])
}

fn both_ways(run: &mut Run) {
    run.decoding(&["v5 A-1"]).holds(true, "");
    run.encoding(&["v5 A-1"]).equal(1, 1, "");
}

fn one_way(run: &mut Run) {
    run.decoding(&["v5 A-2"]).holds(true, "");
}

/// What is wrong with a run that has everything, and then does this too.
fn wrong_with(test: fn(&mut Run)) -> Vec<String> {
    let mut run = run();
    run.test(both_ways);
    run.test(one_way);
    test(&mut run);
    run.verdict(&[])
}

#[test]
fn a_run_with_everything_passes() {
    assert_eq!(wrong_with(|_| ()), [""; 0]);
}

#[test]
fn a_statement_that_was_not_checked_is_named() {
    let mut run = run();
    run.test(both_ways);
    assert_eq!(run.verdict(&[]), ["v5 A-2 was not checked"]);
}

#[test]
fn an_assertion_without_a_condition_is_no_check() {
    fn forgetful(run: &mut Run) {
        drop(run.decoding(&["v5 A-2"]));
    }
    let mut run = run();
    run.test(both_ways);
    run.test(forgetful);
    let test = "an_assertion_without_a_condition_is_no_check::forgetful";
    assert_eq!(run.verdict(&[]), [&format!("{test} asserts nothing"), "v5 A-2 was not checked"]);
}

#[test]
fn an_assertion_that_is_not_reached_is_no_check() {
    fn no_rows(run: &mut Run) {
        run.decoding(&["v5 A-1"]).holds(true, "");
        for _row in [(); 0] {
            run.decoding(&["v5 A-2"]).holds(true, "");
        }
    }
    let mut run = run();
    run.test(both_ways);
    run.test(no_rows);
    assert_eq!(run.verdict(&[]), ["v5 A-2 was not checked"]);
}

#[test]
fn a_statement_that_was_checked_one_way_of_two_is_named() {
    fn half(run: &mut Run) {
        run.encoding(&["v5 A-1"]).holds(true, "");
    }
    let mut run = run();
    run.test(half);
    run.test(one_way);
    assert_eq!(run.verdict(&[]), ["v5 A-1 was checked for encode, but not for decode"]);
}

#[test]
fn an_id_that_does_not_exist_is_named() {
    let wrong = wrong_with(|run| run.decoding(&["v5 A-9", "v5 A-1"]).holds(true, ""));
    assert_eq!(wrong, ["there is no statement \"v5 A-9\""]);
    let wrong = wrong_with(|run| run.decoding(&["A-1"]).holds(true, ""));
    assert_eq!(wrong, ["there is no statement \"A-1\""], "an id without its version");
    let wrong = wrong_with(|run| run.decoding(&["v3.1.1 A-1"]).holds(true, ""));
    assert_eq!(wrong, ["there is no statement \"v3.1.1 A-1\""], "an id of the other version");
    let wrong = wrong_with(|run| run.borrow("v5 A-9", "because"));
    assert_eq!(wrong, ["there is no statement \"v5 A-9\""]);
}

#[test]
fn a_statement_that_is_not_applicable_may_not_be_checked() {
    let wrong = wrong_with(|run| run.encoding(&["v5 A-3"]).holds(true, ""));
    let row = "its row says that nothing of ours could break it";
    assert_eq!(wrong, [format!("v5 A-3 is checked, but {row}")]);
}

#[test]
fn a_statement_may_not_be_checked_in_a_direction_its_row_does_not_have() {
    let wrong = wrong_with(|run| run.encoding(&["v5 A-2"]).holds(true, ""));
    assert_eq!(wrong, ["v5 A-2 is checked for encode, which its row does not have"]);
    let wrong = wrong_with(|run| run.acting(&["v5 A-1"]).holds(true, ""));
    assert_eq!(wrong, ["v5 A-1 is checked for act, which its row does not have"]);
}

#[test]
fn a_statement_of_another_layer_is_cited_for_a_reason_only() {
    let wrong = wrong_with(|run| run.decoding(&["v5 A-4"]).holds(true, ""));
    assert_eq!(wrong, ["v5 A-4 belongs to the layer session; borrow it and say why"]);
    let wrong = wrong_with(|run| {
        run.borrow("v5 A-4", "the decoder sees it first");
        run.decoding(&["v5 A-4"]).holds(true, "");
    });
    assert_eq!(wrong, [""; 0]);
    let wrong = wrong_with(|run| run.borrow("v5 A-4", "the decoder sees it first"));
    assert_eq!(wrong, ["v5 A-4 is borrowed and not checked"]);
    let wrong = wrong_with(|run| run.borrow("v5 A-1", "because"));
    assert_eq!(wrong, ["v5 A-1 is borrowed, but it is ours"]);
}

#[test]
fn an_assertion_cites_something() {
    let wrong = wrong_with(|run| run.decoding(&[]).holds(true, ""));
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].ends_with("has an assertion that cites nothing"), "{wrong:?}");
}

#[test]
fn a_broken_assertion_says_which_statement_which_test_and_what_was_found() {
    fn broken(run: &mut Run) {
        for found in [2, 1, 0] {
            run.decoding(&["v5 A-1", "v5 A-2"]).equal(found, 2, "the answer");
        }
    }
    let wrong = wrong_with(|run| run.test(broken));
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    let first = "the answer: 1 where 2 is expected; and 1 more like it";
    for part in ["v5 A-1, v5 A-2 (decode) in ", "broken: ", "checker.rs:", first] {
        assert!(wrong[0].contains(part), "{part} is not in {wrong:?}");
    }
}

#[test]
fn a_report_is_short_even_where_a_packet_is_long() {
    fn long(run: &mut Run) {
        run.decoding(&["v5 A-1"]).equal("\u{20ac}".repeat(65_535).as_str(), "", "a topic");
    }
    let wrong = wrong_with(|run| run.test(long));
    assert!(wrong[0].len() < 2_500, "{}", wrong[0].len());
}

#[test]
fn a_panic_in_a_test_fails_the_run() {
    fn panics(run: &mut Run) {
        run.decoding(&["v5 A-1"]).holds(true, "");
        panic!("on purpose");
    }
    let wrong = wrong_with(|run| run.test(panics));
    assert_eq!(wrong, ["a_panic_in_a_test_fails_the_run::panics panicked: see above"]);
}

#[test]
#[should_panic(expected = "the run of p was not finished")]
fn a_run_that_is_not_finished_fails() {
    run().test(both_ways);
}

#[test]
fn what_one_package_leaves_another_may_check() {
    let text = "statement\tdirection\ttests\treason\nv5 A-2\tdecode\tm::f\t-\n";
    let other = Evidence::parse("q", text, &lists()).unwrap();
    assert_eq!(other.text(&lists()), text);
    let mut run = run();
    run.test(both_ways);
    assert_eq!(run.verdict(&[other]), [""; 0]);
    let mut run = self::run();
    run.test(both_ways);
    let of_nothing = Evidence::new("q");
    assert_eq!(run.verdict(&[of_nothing]), ["v5 A-2 was not checked"]);
    let unknown = Evidence::parse("q", &text.replace("A-2", "A-9"), &lists());
    assert_eq!(unknown, Err("there is no statement \"v5 A-9\"".into()));
}

#[test]
fn lists_that_make_no_sense_are_refused() {
    for (row, error) in [
        ("A-1\t1\tboth\tcodec\tdecode\tx\tAgain.\t-", "v5 A-1 is in the lists twice"),
        ("B\t1\tboth\tcodec\tdecode\t-\tOne way.\t-", "a reason is missing"),
        ("B\t1\tboth\tcodec\tnone\t-\tNeither.\t-", "a reason is missing"),
        ("B\t1\tboth\tcodec\t-\t-\tUndecided.\t-", "what is checked must be decided"),
        ("B\t1\tboth\tcodec\tact\tx\tNot here.\t-", "act is not for the layer codec"),
        ("B\t1\tboth\tsession\tdecode\tx\tNor here.\t-", "decode is not for the layer session"),
        ("B\t1\tboth\tcodex\tdecode\t-\tA slip.\t-", "there is no layer \"codex\""),
        ("B\t1\tboth\tcodec\tdecoded\t-\tA slip.\t-", "there is no direction \"decoded\""),
        ("B\t1\tboth\tcodec", "8 cells wanted"),
    ] {
        let list = format!("{HEADING}{LIST}{row}\n");
        let found = Lists::parse(&[("v5", &list)], LAYERS).unwrap_err();
        assert!(found.ends_with(error), "{found}");
    }
}

#[test]
fn the_document_says_of_each_statement_what_checks_it() {
    let list = LIST.replace("A-", "MQTT-");
    let lists = Lists::parse(&[("v5", &format!("{HEADING}{list}"))], LAYERS).unwrap();
    let text = "statement\tdirection\ttests\treason\n\
                v5 MQTT-1\tdecode\tm::f\t-\n\
                v5 MQTT-1\tencode\tm::f\t-\n\
                v5 MQTT-2\tdecode\tm::f m::g\t-\n\
                v5 MQTT-4\tdecode\tm::g\tseen early\n";
    let evidence = Evidence::parse("q", text, &lists).unwrap();
    let document = document(&lists, &[evidence]);
    for row in [
        "| v5 MQTT-1 | 1 | codec | Both ways. | decode and encode: `q: m::f` |",
        "| v5 MQTT-2 | 1 | codec | One way. | decode: `q: m::f`, `q: m::g`; (binds the reader) |",
        "| v5 MQTT-3 | 1 | codec | Neither. | *not applicable*: there is nothing |",
        "| v5 MQTT-4 | 1 | session | Of another layer. | *open*; decode: `q: m::g`, (seen early) |",
        "| codec | finished | 3 | 2 | 1 | 0 | 1 |",
    ] {
        assert!(document.contains(row), "{row} is not in\n{document}");
    }
}
