# frozen_string_literal: true

# Sends an event by the Ruby binding, as packaging/dist/try.c does by the library alone. packaging/dist/try.py runs it.
require 'libpusher'

# The library of the gem, and no other.
maps = File.read('/proc/self/maps')
raise maps unless !ENV.key?('PUSHER_LIBRARY') && maps.include?(LibPusher::Bundled.library)

status = 'OK'
begin
  LibPusher::Client.from_env.trigger('my-channel', 'my-event', { hello: 'world' })
rescue LibPusher::Error => e
  status = e.status
end
puts "#{LibPusher::VERSION} #{status}"
