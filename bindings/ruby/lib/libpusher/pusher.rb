# frozen_string_literal: true

# Defines the official gem's constant, `Pusher`, for programs that cannot or will not change it:
#
#   require 'libpusher/pusher'
#
#   Pusher.app_id = '7'
#   Pusher.trigger('my-channel', 'my-event', { hello: 'world' })
#
# The messages of refusals are the official gem's too.
require_relative '../libpusher'

raise LoadError, 'the gem pusher is loaded too: remove it from the Gemfile' if defined?(Pusher) && !Pusher.equal?(LibPusher)

Pusher = LibPusher unless defined?(Pusher)
LibPusher::APIError.official_messages = true
