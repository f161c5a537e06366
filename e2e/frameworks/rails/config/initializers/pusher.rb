# As with the gem pusher. In the Gemfile: gem 'libpusher', require: 'libpusher/pusher'.
Pusher.app_id = ENV['PUSHER_APP_ID']
Pusher.key = ENV['PUSHER_APP_KEY']
Pusher.secret = ENV['PUSHER_APP_SECRET']
Pusher.cluster = ENV['PUSHER_APP_CLUSTER']
Pusher.host = ENV['PUSHER_HOST']
Pusher.port = ENV['PUSHER_PORT']
Pusher.scheme = ENV['PUSHER_SCHEME']
Pusher.logger = Rails.logger
