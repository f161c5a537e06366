# frozen_string_literal: true

require_relative 'lib/libpusher/version'

Gem::Specification.new do |spec|
  spec.name = 'libpusher'
  spec.version = LibPusher::VERSION
  spec.summary = 'Server-side SDK for the Pusher Channels HTTP API, on libpusher'
  spec.description = 'Publishes events, queries channels, authorizes subscriptions and validates webhooks. After a failure it ' \
                     'says whether the event was delivered. A gem for one platform contains the C library; the other one ' \
                     'needs libpusher.so.0.'
  spec.authors = ['The libpusher developers']
  spec.licenses = ['MIT', 'Apache-2.0']
  spec.required_ruby_version = '>= 3.0'
  spec.files = Dir.chdir(__dir__) { Dir['lib/**/*.rb', 'README.md', 'LICENSE-*'] }.sort
  # packaging/gem.sh sets it, and puts the library, pusher-testserver and their bills of materials into the folder.
  if (platform = ENV.fetch('PUSHER_GEM_PLATFORM', nil))
    spec.platform = platform
    spec.files += Dir.chdir(__dir__) { Dir['vendor/*'] }.sort
    # Earlier versions take musl for glibc.
    spec.required_rubygems_version = '>= 3.3.22' if platform.end_with?('-musl')
  end
  spec.add_dependency 'ffi', '~> 1.15'
  spec.metadata['rubygems_mfa_required'] = 'true'
end
