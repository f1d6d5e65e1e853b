use super::*;

#[test]
fn no_two_arguments_of_any_command_clash() {
    Cli::command().debug_assert();
}

#[test]
fn no_indented_help_line_exceeds_the_width_of_the_help() {
    let mut waiting = vec![Cli::command()];
    while let Some(command) = waiting.pop() {
        waiting.extend(command.get_subcommands().cloned());
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        // Clap wraps longer lines, and the rest of such a line loses its indentation.
        for line in help.lines().filter(|line| line.starts_with("  ")) {
            assert!(line.chars().count() <= 98, "{}: {line}", command.get_name());
        }
    }
}

#[test]
fn every_help_example_parses_as_a_command_line() {
    let mut waiting = vec![Cli::command()];
    while let Some(command) = waiting.pop() {
        waiting.extend(command.get_subcommands().filter(|one| !one.is_hide_set()).cloned());
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = help.split("Example").skip(1).flat_map(str::lines);
        let lines: Vec<&str> = examples.filter_map(|line| line.trim().strip_prefix("ntp-monitor ")).collect();
        assert!(command.has_subcommands() || !lines.is_empty(), "{} has none:\n{help}", command.get_name());
        for line in lines {
            // The rest belongs to the shell, or is an explanation after two blanks.
            let said = line.split("  ").next().unwrap_or_default().split(['|', '>']).next().unwrap_or_default();
            let words = ["ntp-monitor"].into_iter().chain(said.split_whitespace());
            let read = Cli::try_parse_from(words);
            let is_help = read.as_ref().is_err_and(|why| why.exit_code() == 0);
            assert!(read.is_ok() || is_help, "{line}: {}", read.err().map_or_else(String::new, |why| why.to_string()));
        }
    }
}

#[test]
fn interval_of_watch_is_not_taken_for_a_server() {
    let misplaced = |words: &[&str]| {
        let Command::Query(args) =
            Cli::try_parse_from(["ntp-monitor", "query"].iter().chain(words)).unwrap().command.unwrap()
        else {
            panic!("another command")
        };
        args.misplaced_interval().map(str::to_owned)
    };
    assert_eq!(misplaced(&["--watch", "10s", "a.example"]), Some("10s".to_owned()));
    for right in [&["--watch=10s", "a.example"][..], &["--watch", "a.example"], &["192.0.2.1", "--watch"], &["10s"]] {
        assert_eq!(misplaced(right), None, "{right:?}");
    }
}
