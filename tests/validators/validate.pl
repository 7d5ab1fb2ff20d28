# Judges JSON texts with JSON::Validator, as validate.mjs does with those of npm.

use strict;
use warnings;
use JSON::Validator;
use Mojo::JSON qw(decode_json encode_json);

sub verdict {
  my ($validator, $text) = @_;
  my @errors;
  my $read = eval {
    utf8::encode($text);
    @errors = $validator->validate(decode_json($text));
    1;
  };
  return !$read ? 'unread' : @errors ? 'invalid' : 'valid';
}

sub judge_all {
  my ($job) = @_;
  my $validator = eval { JSON::Validator->new->schema($job->{schema}) };
  return {refused => "$@"} unless $validator;
  return {verdicts => [map { verdict($validator, $_) } @{$job->{texts}}]};
}

local $/;
print encode_json([map { judge_all($_) } @{decode_json(<STDIN>)}]);
