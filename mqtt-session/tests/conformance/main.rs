//! Every statement of both standards that the sessions answer for, each named by the assertions that check it: from
//! the bytes that come in to what goes out and what the application is told.
//!
//! The modules are the chapters. Which statements there are is in the crate `conformance`, and so is what fails this
//! test beside an assertion that does not hold: a statement that nothing checked.

#[path = "../common/mod.rs"]
mod common;

mod aliases;
mod announcements;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod errors;
mod exchanges;
mod flow_control;
mod identifiers;
mod keep_alive;
mod order;
mod packet_size;
mod peer;
mod publish;
mod resume;
mod side;
mod subscribe;

use conformance::{Layer, Run};

#[test]
fn every_statement_of_the_session_holds() {
    let mut run = Run::new("mqtt-session", &[Layer::Session]);

    run.test(identifiers::all_of_them);
    run.test(identifiers::held_while_others_go_round);
    run.test(identifiers::of_answers_to_messages);
    run.test(identifiers::of_answers_to_requests);
    run.test(identifiers::until_the_last_acknowledgement);

    run.test(connect::twice);
    run.test(connect::levels);
    run.test(connect::malformed);
    run.test(connect::accepted);
    run.test(connect::after_a_refusal);
    run.test(connect::no_client_identifier);

    run.test(connack::comes_first);
    run.test(connack::comes_once);
    run.test(connack::refusals_without_a_code);

    run.test(announcements::maximum_qos);
    run.test(announcements::retain_available);
    run.test(announcements::response_information);
    run.test(announcements::other_servers);

    run.test(keep_alive::of_a_silent_client);
    run.test(keep_alive::of_the_server);
    run.test(keep_alive::seen_by_the_server);
    run.test(keep_alive::pings);

    run.test(publish::answers_by_qos);
    run.test(publish::repetitions);
    run.test(publish::subscription_identifiers);
    run.test(publish::no_topic);
    run.test(publish::payloads_that_are_no_text);

    run.test(aliases::of_the_peer);
    run.test(aliases::that_are_none);
    run.test(aliases::end_with_the_connection);
    run.test(aliases::of_this_side);

    run.test(exchanges::at_most_once);
    run.test(exchanges::first_transmissions);
    run.test(exchanges::unacknowledged);
    run.test(exchanges::answers_to_pubrec);
    run.test(exchanges::expiry_of_what_was_sent);
    run.test(exchanges::ownership);
    run.test(exchanges::at_least_once);
    run.test(exchanges::exactly_once);
    run.test(exchanges::refused_exactly_once);
    run.test(exchanges::expiry_of_what_was_received);
    run.test(exchanges::messages_nobody_asked_for);

    run.test(order::of_acknowledgements);
    run.test(order::of_pubrels);
    run.test(order::of_resends);

    run.test(resume::what_is_sent_again);
    run.test(resume::at_no_other_time);
    run.test(resume::when_answers_take_too_long);
    run.test(resume::what_was_refused);
    run.test(resume::state_of_a_session);

    run.test(flow_control::initial_quota);
    run.test(flow_control::what_gives_it_back);
    run.test(flow_control::any_acknowledgements);
    run.test(flow_control::what_needs_none);
    run.test(flow_control::too_many);

    run.test(packet_size::of_every_packet);
    run.test(packet_size::of_messages);
    run.test(packet_size::of_messages_with_aliases);
    run.test(packet_size::what_has_no_room);
    run.test(packet_size::what_comes);
    run.test(packet_size::problem_information);
    run.test(packet_size::problem_information_nobody_asked_for);

    run.test(subscribe::every_request_is_answered);
    run.test(subscribe::codes_in_order);

    run.test(disconnect::before_connack);
    run.test(disconnect::nothing_follows);
    run.test(disconnect::session_expiry);

    run.test(auth::challenges);
    run.test(auth::answers);
    run.test(auth::refusals);
    run.test(auth::other_methods);
    run.test(auth::again_in_vain);
    run.test(auth::nobody_asked_for);

    run.test(errors::at_the_server);
    run.test(errors::at_the_client);
    run.test(errors::of_the_moment);
    run.test(errors::no_extensions);
    run.finish();
}
