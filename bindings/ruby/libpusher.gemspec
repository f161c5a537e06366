# frozen_string_literal: true

require_relative 'lib/libpusher/version'

Gem::Specification.new do |spec|
  spec.name = 'libpusher'
  spec.version = LibPusher::VERSION
  spec.summary = 'Server-side SDK for the Pusher Channels HTTP API, on libpusher'
  spec.description = 'Publishes events, queries channels, authorizes subscriptions and validates webhooks. After a failure it ' \
                     'says whether the event was delivered. Needs the C library libpusher.so.0.'
  spec.authors = ['The libpusher developers']
  spec.licenses = ['MIT', 'Apache-2.0']
  spec.required_ruby_version = '>= 3.0'
  spec.files = Dir.chdir(__dir__) { Dir['lib/**/*.rb', 'README.md', 'LICENSE-*'] }
  spec.add_dependency 'ffi', '~> 1.15'
  spec.metadata['rubygems_mfa_required'] = 'true'
end
